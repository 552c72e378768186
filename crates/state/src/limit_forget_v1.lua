-- Takes back what one request was counted in. A window that nobody else was counted in is gone then.
--
-- KEYS[i]    the hash of a window rule: number of a sub-window -> requests that passed in it
-- ARGV[i]    the number of the sub-window that the request was counted in

for i = 1, #KEYS do
  local count = tonumber(redis.call('HGET', KEYS[i], ARGV[i]))
  if count == 1 then
    redis.call('HDEL', KEYS[i], ARGV[i])
  elseif count then
    redis.call('HINCRBY', KEYS[i], ARGV[i], '-1')
  end
end
return 1
