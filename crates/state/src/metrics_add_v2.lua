-- KEYS[1] amounts by series, KEYS[2] when each last grew; ARGV[1] how long they live, in seconds, then series and amount in
-- turn.
local now = tonumber(redis.call('TIME')[1])
for i = 2, #ARGV, 2 do
  redis.pcall('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[2], now, ARGV[i])
end
local oldest = now - tonumber(ARGV[1])
for _, series in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', oldest, 'LIMIT', 0, 100)) do
  redis.call('HDEL', KEYS[1], series)
  redis.call('ZREM', KEYS[2], series)
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1
