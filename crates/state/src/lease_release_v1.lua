-- Gives up a lease.
--
-- KEYS[i]    the sorted set of a rule on requests in flight: lease -> when it ends
-- ARGV[1]    the lease

for i = 1, #KEYS do
  redis.call('ZREM', KEYS[i], ARGV[1])
end
return 1
