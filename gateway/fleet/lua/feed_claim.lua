-- Begins a new generation of a feed's writer, unless another one's lease runs.
-- KEYS own lease win   ARGV inc ttl key-ttl revision
-- returns {1, generation, ms since when it is not connected or -1} or {0}
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return {0} end
if redis.call('HGET', KEYS[1], 'rev') ~= ARGV[4] then -- what another declaration gave
  redis.call('DEL', KEYS[3])
  redis.call('HDEL', KEYS[1], 'bytes', 'down', 'since', 'error', 'dropped', 'minute')
end
local gen = string.format('%.0f', math.max(now, (tonumber(redis.call('HGET', KEYS[1], 'gen')) or 0) + 1))
redis.call('HSET', KEYS[1], 'gen', gen, 'rev', ARGV[4], 'inc', ARGV[1], 'seq', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local down = tonumber(redis.call('HGET', KEYS[1], 'down')) or 0
if down > 0 then return {1, gen, now - down} end
return {1, gen, -1}
