-- Takes one request's place from every rule, or from none. One Lua call, so nothing comes in between.
--
-- KEYS[1 .. n]         the hash of window rule i: number of a sub-window -> requests that passed in it
-- KEYS[n + 1 ...]      the sorted set of each rule on what is under way: lease -> when it ends
-- ARGV[1]              milliseconds since 1970 for tests; empty: Redis' own clock
-- ARGV[2]              n, how many window rules there are
-- ARGV[3], ARGV[4]     this request's lease, and how long it lasts in milliseconds
-- ARGV[3i + 2 ...]     of window rule i: its limit, its window in milliseconds, 1 if it only counts (dry run)
-- ARGV[after those]    of each rule on what is under way: its limit, 1 if it only counts
--
-- Answers flat integers: 1 if the request passes, then of each window rule: requests in the window, how many more may
-- pass, milliseconds until more may, 1 if it had no room for this one; then of each rule on what is under way: how
-- many are, 1 if it had no room for this one.

local SUB_WINDOWS = 6
local SLACK = 1000
local call, floor, ceil = redis.call, math.floor, math.ceil

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end

-- From now until no window has any of a sub-window in it.
local function counted_for(index, window)
  return ceil((index + SUB_WINDOWS + 1) * window / SUB_WINDOWS) - now
end

local window_rules = tonumber(ARGV[2])
local passes = 1
local rules = {}
for i = 1, window_rules do
  local limit, window = tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3])
  local fields = call('HGETALL', KEYS[i])
  local clock = floor(now * SUB_WINDOWS / window)
  -- After a small step back of the clock the newest sub-window stays the current one.
  local current = clock
  for f = 1, #fields, 2 do
    local index = tonumber(fields[f])
    if index > current and index <= clock + SUB_WINDOWS then current = index end
  end
  -- By age: 0 is the current sub-window.
  local counts, used, field, outdated = {}, 0, nil, nil
  for f = 1, #fields, 2 do
    local age = current - fields[f]
    if age >= 0 and age <= SUB_WINDOWS then
      local count = tonumber(fields[f + 1])
      counts[age] = count
      used = used + count
      -- As it came: Redis takes long to make text of a number.
      if age == 0 then field = fields[f] end
    else
      outdated = outdated or {}
      outdated[#outdated + 1] = fields[f]
    end
  end
  local full = used >= limit
  if full and ARGV[3 * i + 4] ~= '1' then passes = 0 end
  rules[i] = {
    limit = limit, window = window, current = current, counts = counts, used = used,
    full = full, field = field, outdated = outdated,
  }
end

local holds = {}
for i = window_rules + 1, #KEYS do
  local at = 5 + 3 * window_rules + 2 * (i - window_rules - 1)
  local under_way = call('ZCOUNT', KEYS[i], '(' .. now, '+inf')
  local full = under_way >= tonumber(ARGV[at])
  if full and ARGV[at + 1] ~= '1' then passes = 0 end
  holds[i] = { under_way = under_way, full = full }
end

local answer = { passes }
for i = 1, window_rules do
  local rule = rules[i]
  local limit, counts, used = rule.limit, rule.counts, rule.used
  if passes == 1 and not rule.full then
    if rule.outdated then call('HDEL', KEYS[i], unpack(rule.outdated)) end
    counts[0] = call('HINCRBY', KEYS[i], rule.field or rule.current, '1')
    used = used + 1
    -- All requests of a sub-window stop counting at the same time, so the first of them sets the expiry.
    if counts[0] == 1 then
      call('PEXPIRE', KEYS[i], counted_for(rule.current, rule.window) + SLACK)
    end
  end
  local reset = 0
  if used > 0 then
    local left, wanted = used, math.max(math.min(used, limit) - 1, 0)
    for age = SUB_WINDOWS, 0, -1 do
      left = left - (counts[age] or 0)
      if left <= wanted then
        reset = counted_for(rule.current - age, rule.window)
        break
      end
    end
  end
  answer[4 * i - 2] = used
  answer[4 * i - 1] = math.max(limit - used, 0)
  answer[4 * i] = reset
  answer[4 * i + 1] = rule.full and 1 or 0
end
for i = window_rules + 1, #KEYS do
  local hold = holds[i]
  if passes == 1 and not hold.full then
    call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    call('ZADD', KEYS[i], now + tonumber(ARGV[4]), ARGV[3])
    call('PEXPIRE', KEYS[i], tonumber(ARGV[4]) + SLACK)
    hold.under_way = hold.under_way + 1
  end
  answer[#answer + 1] = hold.under_way
  answer[#answer + 1] = hold.full and 1 or 0
end
return answer
