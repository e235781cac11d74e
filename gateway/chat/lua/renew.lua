-- Holds the lease for another ttl and, if asked, keeps the conversation's keys
-- alive: they live long, so not every renewal needs to.
-- KEYS own in due log   ARGV conv generation ttl keep own-ttl in-ttl log-ttl
-- returns {1, inbox length, log length} or {-1} fenced
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if redis.call('HGET', KEYS[1], 'gen') ~= ARGV[2] then return {-1} end
local lease = string.format('%.0f', now + tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], 'lease', lease, 'prog', string.format('%.0f', now))
redis.call('ZADD', KEYS[3], lease, ARGV[1])
if ARGV[4] == '1' then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
  redis.call('PEXPIRE', KEYS[4], ARGV[7])
end
return {1, redis.call('LLEN', KEYS[2]), redis.call('XLEN', KEYS[4])}
