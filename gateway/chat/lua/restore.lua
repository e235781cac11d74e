-- Puts back what the store has as unanswered and Redis knows nothing of.
-- KEYS in due own   ARGV conv in-ttl items...
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local lease = redis.call('HGET', KEYS[3], 'lease')
if lease and tonumber(lease) > now then return 0 end
local n = 0
if redis.call('LLEN', KEYS[1]) == 0 then
  for i = 3, #ARGV do
    redis.call('RPUSH', KEYS[1], ARGV[i])
    n = n + 1
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
redis.call('ZADD', KEYS[2], 'NX', now, ARGV[1])
return n
