-- Puts an item into a conversation's inbox once, makes it due and pokes the
-- process that writes it.
-- KEYS sent in due own   ARGV conv item live-prefix sent-ttl in-ttl
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[4]) then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('ZADD', KEYS[3], 'NX', now, ARGV[1])
local own = redis.call('HMGET', KEYS[4], 'inc', 'lease')
if own[1] and own[2] and tonumber(own[2]) > now then
  redis.call('PUBLISH', ARGV[3] .. own[1], ARGV[1])
  return 2
end
return 1
