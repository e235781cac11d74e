-- Gives the lease of a feed's writer back; with forget, and everything that
-- was kept of the feed.
-- KEYS own lease win   ARGV gen forget
local o = redis.call('HMGET', KEYS[1], 'gen', 'down')
if o[1] ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if ARGV[2] == '1' then return redis.call('DEL', KEYS[1], KEYS[3]) end
local t = redis.call('TIME')
if (tonumber(o[2]) or 0) == 0 then redis.call('HSET', KEYS[1], 'since', 0, 'down', string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))) end
return 1
