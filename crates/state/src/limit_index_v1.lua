-- Adds keys of limits to the index of those that were used lately.
--
-- KEYS[1]   the hash: key -> what it counts
-- KEYS[2]   the sorted set: key -> the second in which that was told last
-- ARGV[1]   seconds since 1970 for tests; empty: Redis' own clock
-- ARGV[2]   how many are kept
-- ARGV[3]   for how many seconds
-- then key and what it counts, in turn
--
-- Answers 1.
local call = redis.call
local now = tonumber(ARGV[1]) or tonumber(call('TIME')[1])
-- Where a Redis that is short of memory has thrown one of the two away, the other goes as well.
if call('HLEN', KEYS[1]) ~= call('ZCARD', KEYS[2]) then call('DEL', KEYS[1], KEYS[2]) end
for i = 4, #ARGV, 2 do
  call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  call('ZADD', KEYS[2], now, ARGV[i])
end
local function forget(keys)
  if #keys > 0 then
    call('ZREM', KEYS[2], unpack(keys))
    call('HDEL', KEYS[1], unpack(keys))
  end
end
forget(call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3], 'LIMIT', 0, 1000))
local excess = call('ZCARD', KEYS[2]) - ARGV[2]
if excess > 0 then forget(call('ZRANGE', KEYS[2], 0, math.min(excess, 1000) - 1)) end
call('EXPIRE', KEYS[1], ARGV[3])
call('EXPIRE', KEYS[2], ARGV[3])
return 1
