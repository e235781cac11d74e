-- Settles what a run has spent, gives back what was held for it, and holds
-- what it needs next in all accounts, if all of them have it.
-- KEYS sums holds, of each account
-- ARGV run mode hold-ttl key-ttl fresh spent-tokens spent-micros need-tokens need-micros, then limit-tokens limit-micros of each account
--   mode: take, rest (all that is left is held, if it is what is needed), look (nothing is held), settle (nothing is looked at either)
-- returns {1, left-tokens, left-micros} of the scarcest, -1 for any amount;
--   {0, account}, which has too little; {2, account, version}, which has to be read from the store
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function text(n) return string.format('%.0f', n) end
local function num(key, field) return tonumber(redis.call('HGET', key, field)) or 0 end
local function release(sums, holds, run)
  local held = redis.call('HGET', sums, 'r:' .. run)
  if held then
    local a, b = string.match(held, '(%d+) (%d+)')
    redis.call('HINCRBY', sums, 'ht', text(0 - tonumber(a)))
    redis.call('HINCRBY', sums, 'hm', text(0 - tonumber(b)))
    redis.call('HDEL', sums, 'r:' .. run)
  end
  redis.call('ZREM', holds, run)
end
local run, mode = ARGV[1], ARGV[2]
local spent = {tonumber(ARGV[6]), tonumber(ARGV[7])}
local need = {tonumber(ARGV[8]), tonumber(ARGV[9])}
local n = #KEYS / 2
for i = 1, n do
  local sums, holds = KEYS[2 * i - 1], KEYS[2 * i]
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', text(now), 'LIMIT', 0, 100)) do release(sums, holds, dead) end
  if mode ~= 'look' then release(sums, holds, run) end
  if redis.call('HEXISTS', sums, 'at') == 1 and (spent[1] > 0 or spent[2] > 0) then
    redis.call('HINCRBY', sums, 't', text(spent[1]))
    redis.call('HINCRBY', sums, 'm', text(spent[2]))
    redis.call('HINCRBY', sums, 'ver', 1)
  end
end
if mode == 'settle' then return {1, -1, -1} end
local left = {-1, -1}
for i = 1, n do
  local sums = KEYS[2 * i - 1]
  if now - num(sums, 'at') > tonumber(ARGV[5]) then return {2, i, redis.call('HGET', sums, 'ver') or ''} end
  for kind, f in ipairs({{'t', 'ht'}, {'m', 'hm'}}) do
    local limit = tonumber(ARGV[9 + 2 * (i - 1) + kind])
    if limit > 0 then
      local has = limit - num(sums, f[1]) - num(sums, f[2])
      if has < need[kind] or has <= 0 then return {0, i} end
      if left[kind] < 0 or has < left[kind] then left[kind] = has end
    end
  end
end
if mode == 'take' or mode == 'rest' then
  if mode == 'rest' then need = {math.max(need[1], left[1]), math.max(need[2], left[2])} end
  for i = 1, n do
    local sums, holds = KEYS[2 * i - 1], KEYS[2 * i]
    redis.call('HINCRBY', sums, 'ht', text(need[1]))
    redis.call('HINCRBY', sums, 'hm', text(need[2]))
    redis.call('HSET', sums, 'r:' .. run, text(need[1]) .. ' ' .. text(need[2]))
    redis.call('ZADD', holds, text(now + tonumber(ARGV[3])), run)
    redis.call('PEXPIRE', sums, ARGV[4])
    redis.call('PEXPIRE', holds, ARGV[4])
  end
end
return {1, text(left[1]), text(left[2])}
