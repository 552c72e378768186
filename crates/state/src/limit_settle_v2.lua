-- Has charges come to what they are in truth, once for each settlement. A window that charges nothing then is gone.
--
-- KEYS[1]        the settlement: there while it may be asked for again
-- KEYS[2 .. n+1] the hash of each window rule that has counted: number of a sub-window -> what is charged in it
-- the next 2r    of each rule that has reserved: the hash, and the sorted set of what is reserved, as in limit_charge
-- ARGV[1]        milliseconds since 1970 for tests; empty: Redis' own clock
-- ARGV[2]        for how long a settlement is remembered, in milliseconds
-- ARGV[3], [4]   n, and the lease under which was reserved
-- ARGV[2i + 3], [2i + 4]  of each that has counted: the number of the sub-window that was charged, and by how much it changes
-- then           of each that has reserved: its window in milliseconds, what was reserved, and what it came to
--
-- Answers 1, or 0 where it had been done: then what was reserved under this lease since is given back. What was reserved comes to its amount now, also where its lease has ended.

local SUB_WINDOWS = 6
local SLACK = 1000
local call, floor, ceil = redis.call, math.floor, math.ceil

local counting, lease = tonumber(ARGV[3]), ARGV[4]
if not call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[2]) then
  -- What was reserved since, by an admission that came late, is given back.
  local at = 2 * counting + 5
  for k = counting + 2, #KEYS, 2 do
    local reserved = ARGV[at + 1]
    at = at + 3
    if call('ZREM', KEYS[k + 1], reserved .. ':' .. lease) == 1 then
      call('ZINCRBY', KEYS[k + 1], reserved, 'r')
    end
  end
  return 0
end
for i = 1, counting do
  local sub_window, change = ARGV[2 * i + 3], ARGV[2 * i + 4]
  -- What is over is not begun anew.
  if call('HEXISTS', KEYS[i + 1], sub_window) == 1
    and call('HINCRBY', KEYS[i + 1], sub_window, change) <= 0 then
    call('HDEL', KEYS[i + 1], sub_window)
  end
end

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end
local at = 2 * counting + 5
for k = counting + 2, #KEYS, 2 do
  local hash, set = KEYS[k], KEYS[k + 1]
  local window, reserved, actual = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
  at = at + 3
  if call('ZREM', set, reserved .. ':' .. lease) == 1 then
    call('ZINCRBY', set, reserved, 'r')
  end
  if actual > 0 then
    local clock = floor(now * SUB_WINDOWS / window)
    -- After a small step back of the clock the newest sub-window stays the current one.
    local current = clock
    local fields = call('HKEYS', hash)
    for f = 1, #fields do
      local index = tonumber(fields[f])
      if index > current and index <= clock + SUB_WINDOWS then current = index end
    end
    local outdated
    for f = 1, #fields do
      local age = current - fields[f]
      if age < 0 or age > SUB_WINDOWS then
        outdated = outdated or {}
        outdated[#outdated + 1] = fields[f]
      end
    end
    if outdated then call('HDEL', hash, unpack(outdated)) end
    local field = string.format('%.0f', current)
    if call('HINCRBY', hash, field, actual) == actual then
      local counted_for = ceil((current + SUB_WINDOWS + 1) * window / SUB_WINDOWS) - now
      call('PEXPIRE', hash, counted_for + SLACK)
    end
  end
end
return 1
