-- Renews a lease, also where it has ended meanwhile: the request is still in flight, and the next one has to know.
--
-- KEYS[i]    the sorted set of a rule on requests in flight: lease -> when it ends
-- ARGV[1]    milliseconds since 1970 for tests; empty: Redis' own clock
-- ARGV[2]    the lease
-- ARGV[3]    how long it lasts in milliseconds

local SLACK = 1000
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
for i = 1, #KEYS do
  redis.call('ZADD', KEYS[i], now + tonumber(ARGV[3]), ARGV[2])
  redis.call('PEXPIRE', KEYS[i], tonumber(ARGV[3]) + SLACK)
end
return 1
