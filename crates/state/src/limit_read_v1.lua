-- Where limits stand, without charging or changing anything.
--
-- KEYS      of each rule the key of what is charged (the hash of a window, or the sorted set of what is in flight), and of
--           one that reserves its sorted set of reservations after it: all as in limit_charge_v5.lua
-- ARGV[1]   milliseconds since 1970 for tests; empty: Redis' own clock
-- then of each rule: 'counted', 'reserved' or 'flight', its limit, its window in milliseconds
--
-- Answers four integers a rule: what is charged in the window and reserved, or in flight; what of that is reserved;
-- milliseconds until less is (0 where nobody knows); the number of the current sub-window.

local SUB_WINDOWS = 6
-- So many reservations of holders that died are left out, as many as one charge takes back.
local MAX_ENDED = 1000
local call, floor, ceil = redis.call, math.floor, math.ceil

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end

local answer = {}
local place = 0
local function key()
  place = place + 1
  return KEYS[place]
end

for i = 2, #ARGV, 3 do
  local kind, limit, window = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local used, reserved, reset, current = 0, 0, 0, 0
  if kind == 'flight' then
    used = call('ZCOUNT', key(), '(' .. now, '+inf')
  else
    local fields = call('HGETALL', key())
    local clock = floor(now * SUB_WINDOWS / window)
    current = clock
    for f = 1, #fields, 2 do
      local index = tonumber(fields[f])
      if index > current and index <= clock + SUB_WINDOWS then current = index end
    end
    local counts = {}
    for f = 1, #fields, 2 do
      local age = current - fields[f]
      if age >= 0 and age <= SUB_WINDOWS then
        counts[age] = tonumber(fields[f + 1])
        used = used + counts[age]
      end
    end
    if kind == 'reserved' then
      local set = key()
      reserved = -tonumber(call('ZSCORE', set, 'r') or 0)
      if reserved > 0 then
        for _, ended in ipairs(call('ZRANGEBYSCORE', set, '(0', now, 'LIMIT', 0, MAX_ENDED)) do
          reserved = reserved - tonumber(string.match(ended, '^%d+'))
        end
      end
    end
    -- Where what is reserved fills the limit nobody knows when some is free.
    if used > 0 and reserved < limit then
      local left, wanted = used, math.max(math.min(used + reserved, limit) - 1 - reserved, 0)
      for age = SUB_WINDOWS, 0, -1 do
        left = left - (counts[age] or 0)
        if left <= wanted then
          reset = ceil((current - age + SUB_WINDOWS + 1) * window / SUB_WINDOWS) - now
          break
        end
      end
    end
    used = used + reserved
  end
  answer[#answer + 1] = used
  answer[#answer + 1] = reserved
  answer[#answer + 1] = reset
  answer[#answer + 1] = current
end
return answer
