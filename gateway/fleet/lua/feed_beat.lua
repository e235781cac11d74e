-- Holds the lease of a feed's writer, says how its connection is, and adds
-- values to the window. A writer whose generation has passed can do nothing.
-- KEYS own lease win
-- ARGV gen inc ttl key-ttl most-values most-bytes most-age
--      connected-ago down-ago per-minute dropped error first-seq, then for each value ms-ago and JSON
-- an ago of -1 is never; values that were added before, by their number, are not added again
-- returns 1, or -1 fenced
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local o = redis.call('HMGET', KEYS[1], 'gen', 'bytes', 'seq')
if o[1] ~= ARGV[1] then return -1 end
local function at(ago)
  if tonumber(ago) < 0 then return '0' end
  return string.format('%.0f', now - tonumber(ago))
end
local bytes, seq = tonumber(o[2]) or 0, tonumber(o[3]) or 0
local number = tonumber(ARGV[13])
for i = 14, #ARGV, 2 do
  if number > seq then
    local entry = at(ARGV[i]) .. ' ' .. ARGV[i + 1]
    redis.call('RPUSH', KEYS[3], entry)
    bytes, seq = bytes + #entry, number
  end
  number = number + 1
end
local n, most, age = redis.call('LLEN', KEYS[3]), tonumber(ARGV[5]), tonumber(ARGV[7])
while n > 1 do -- the newest stays, however old: who reads is told
  local head = redis.call('LINDEX', KEYS[3], 0)
  local old = age > 0 and tonumber(string.match(head, '^%d+')) < now - age
  if n <= most and bytes <= tonumber(ARGV[6]) and not old then break end
  redis.call('LPOP', KEYS[3])
  n, bytes = n - 1, bytes - #head
end
redis.call('HSET', KEYS[1], 'bytes', bytes, 'seq', seq, 'beat', string.format('%.0f', now), 'since', at(ARGV[8]), 'down', at(ARGV[9]),
  'minute', ARGV[10], 'dropped', ARGV[11], 'error', ARGV[12])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return 1
