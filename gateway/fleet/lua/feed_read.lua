-- KEYS own lease win   ARGV revision
-- returns {now, holder, rev, since, down, beat, minute, dropped, error, values …}
local t = redis.call('TIME')
local o = redis.call('HMGET', KEYS[1], 'rev', 'since', 'down', 'beat', 'minute', 'dropped', 'error')
local r = {string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)), redis.call('GET', KEYS[2]) or ''}
for i = 1, 7 do r[i + 2] = o[i] or '' end
if o[1] == ARGV[1] then
  for _, v in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do r[#r + 1] = v end
end
return r
