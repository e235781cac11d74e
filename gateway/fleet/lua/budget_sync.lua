-- Notes what the store says was spent, unless something was settled since it
-- was asked.
-- KEYS sums   ARGV version tokens micros key-ttl
local t = redis.call('TIME')
if (redis.call('HGET', KEYS[1], 'ver') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 't', ARGV[2], 'm', ARGV[3], 'at', string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)))
redis.call('HINCRBY', KEYS[1], 'ver', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
