-- Gives the lease back, only if nothing waits and the log is whole, or hands
-- the conversation over, due at once.
-- KEYS own in due log   ARGV conv generation hand log-length wake log-ttl
-- returns 1 released, 0 the inbox has more, -1 fenced, -2 the log lost entries
if redis.call('HGET', KEYS[1], 'gen') ~= ARGV[2] then return -1 end
if ARGV[3] == '1' then
  redis.call('ZADD', KEYS[3], 0, ARGV[1])
  redis.call('PUBLISH', ARGV[5], ARGV[1])
else
  if redis.call('XLEN', KEYS[4]) < tonumber(ARGV[4]) then return -2 end
  if redis.call('LLEN', KEYS[2]) > 0 then return 0 end
  redis.call('ZREM', KEYS[3], ARGV[1])
end
redis.call('HSET', KEYS[1], 'lease', 0, 'nonce', '')
redis.call('PEXPIRE', KEYS[4], ARGV[6])
return 1
