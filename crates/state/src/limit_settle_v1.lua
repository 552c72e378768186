-- Has charges come to what they are in truth, once for each settlement. A window that charges nothing then is gone.
--
-- KEYS[1]          the settlement: there while it may be asked for again
-- KEYS[i + 1]      the hash of a window rule: number of a sub-window -> what is charged in it
-- ARGV[1]          for how long a settlement is remembered, in milliseconds
-- ARGV[2i], [2i+1] the number of the sub-window that was charged, and by how much it changes
--
-- Answers 1, or 0 where it had been done.

if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then
  return 0
end
for i = 2, #KEYS do
  local sub_window, change = ARGV[2 * i - 2], ARGV[2 * i - 1]
  -- What is over is not begun anew.
  if redis.call('HEXISTS', KEYS[i], sub_window) == 1
    and redis.call('HINCRBY', KEYS[i], sub_window, change) <= 0 then
    redis.call('HDEL', KEYS[i], sub_window)
  end
end
return 1
