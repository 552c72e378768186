-- Renews a lease, also where it has ended meanwhile: the request is still in flight, and the next one has to know. What
-- has been settled stays so.
--
-- KEYS[1]      the settlement of this lease
-- KEYS[2 .. f+1]  the sorted set of each rule on requests in flight: lease -> when it ends
-- then         the sorted set of each rule that has reserved, as in limit_charge
-- ARGV[1]      milliseconds since 1970 for tests; empty: Redis' own clock
-- ARGV[2]      the lease
-- ARGV[3]      how long it lasts in milliseconds
-- ARGV[4]      f
-- ARGV[i + 4]  what the i-th that has reserved has reserved

local SLACK = 1000
local call = redis.call
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local lease, lasts, flights = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local is_settled = #KEYS > flights + 1 and call('EXISTS', KEYS[1]) == 1
for i = 2, #KEYS do
  local key, amount = KEYS[i], ARGV[i - flights + 3]
  if i <= flights + 1 then
    call('ZADD', key, now + lasts, lease)
    call('PEXPIRE', key, lasts + SLACK)
  -- What costs nothing before has no entry.
  elseif not is_settled and amount ~= '0' then
    if call('ZADD', key, now + lasts, amount .. ':' .. lease) == 1 then
      call('ZINCRBY', key, -amount, 'r')
    end
    call('PEXPIRE', key, lasts + SLACK)
  end
end
return 1
