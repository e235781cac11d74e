-- Begins a new generation of a conversation: for a new writer if it is due
-- and nobody's, or for the writer in doubt, which names the generation that
-- it held. The same nonce gets the same answer again.
-- KEYS own in due
-- ARGV conv inc ttl dead-inc min-idle nonce held store-generation own-ttl
-- dead-inc is a writer that is gone: its lease need not have run out if it was not renewed for min-idle
-- returns {1, generation}, {0} it has a writer, {-1} fenced, {-3} nothing is due
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local o = redis.call('HMGET', KEYS[1], 'gen', 'nonce', 'lease', 'prog', 'inc')
local g = o[1]
if o[2] ~= ARGV[6] then
  if ARGV[7] ~= '' then
    if o[1] and tonumber(o[1]) > tonumber(ARGV[7]) then return {-1} end -- less: Redis was rolled back
  else
    -- what was never released had a writer that died: its log may lack the end
    if redis.call('LLEN', KEYS[2]) == 0 and not (o[3] and tonumber(o[3]) > 0) then
      redis.call('ZREM', KEYS[3], ARGV[1])
      return {-3}
    end
    if o[3] and tonumber(o[3]) > now and (o[5] ~= ARGV[4] or now - tonumber(o[4]) < tonumber(ARGV[5])) then return {0} end
  end
  g = string.format('%.0f', math.max(now, (tonumber(o[1]) or 0) + 1, tonumber(ARGV[8]) + 1, (tonumber(ARGV[7]) or 0) + 1))
end
local lease = string.format('%.0f', now + tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], 'gen', g, 'inc', ARGV[2], 'nonce', ARGV[6], 'lease', lease, 'prog', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], ARGV[9])
redis.call('ZADD', KEYS[3], lease, ARGV[1])
return {1, g}
