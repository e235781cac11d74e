-- Ends a conversation that the store has no more: its log becomes one entry
-- that says so, behind everything that a writer may still append.
-- KEYS own in due log   ARGV conv log-ttl
-- returns the entry
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local g = math.max(now, (tonumber(redis.call('HGET', KEYS[1], 'gen')) or 0) + 1)
local last = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)
if last[1] then g = math.max(g, tonumber(string.match(last[1][1], '^%d+')) + 1) end
local at = string.format('%.0f-0', g)
local entry = '{"at":"' .. at .. '","ts":' .. string.format('%.0f', now) ..
  ',"ev":{"type":"conversation.generation","kind":"deleted","snapshot":{"messages":[],"deleted":true}}}'
redis.call('DEL', KEYS[1], KEYS[2], KEYS[4])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('XADD', KEYS[4], at, 'e', entry)
redis.call('PEXPIRE', KEYS[4], ARGV[2])
return entry
