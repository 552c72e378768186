-- Charges a request by every rule, or by none. One Lua call, so nothing comes in between.
--
-- KEYS[1 .. n]         the hash of window rule i: number of a sub-window -> what is charged in it
-- KEYS[n + 1 .. n + f] the sorted set of each rule on what is in flight: lease -> when it ends
-- KEYS[n + f + 1]      where there is a bound on new values, the hash of the client: second -> what they cost in it
-- ARGV[1]              milliseconds since 1970 for tests; empty: Redis' own clock
-- ARGV[2], ARGV[3]     n and f, how many rules of each kind there are
-- ARGV[4], ARGV[5]     this request's lease, and how long it lasts in milliseconds
-- ARGV[6]              what a client's new values may cost in a second; empty: any amount
-- ARGV[5i + 2 ...]     of window rule i: its limit, its window in milliseconds, 1 if it only counts (dry run), what it
--                      costs to begin a window that counts nobody yet (of a request's the dearest is booked), and
--                      what it charges
-- ARGV[after those]    of each rule on what is in flight: its limit, 1 if it only counts
--
-- Answers flat integers: 1 if the request passes, 0 if a rule refuses it, -1 if the bound on new values does; then of
-- each window rule: what is charged in the window, how much more may be, milliseconds until more may, 1 if it had no
-- room for this one, the number of the current sub-window; then of each rule on what is in flight: how many are, 1 if it
-- had no room for this one.

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

local window_rules, flight_rules = tonumber(ARGV[2]), tonumber(ARGV[3])
local passes = 1

-- A request whose lease is there is one that was sent again: it has passed, and is charged nothing more.
local has_passed = false
local flights = {}
for i = 1, flight_rules do
  local at, key = 7 + 5 * window_rules + 2 * (i - 1), KEYS[window_rules + i]
  local others = call('ZCOUNT', key, '(' .. now, '+inf')
  local ends = others > 0 and call('ZSCORE', key, ARGV[4])
  local has_place = ends and tonumber(ends) > now
  if has_place then
    others = others - 1
    has_passed = true
  end
  local full = not has_place and others >= tonumber(ARGV[at])
  if full and ARGV[at + 1] ~= '1' then passes = 0 end
  flights[i] = { key = key, others = others, has_place = has_place, full = full }
end
if has_passed then passes = 1 end

-- What this request's new values cost, and whether all are of rules that only count.
local cost, all_dry = 0, true
local rules = {}
for i = 1, window_rules do
  local at = 5 * i + 2
  local limit, window = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
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
  local charge = tonumber(ARGV[at + 4])
  local full, is_dry = used + charge > limit and not has_passed, ARGV[at + 2] == '1'
  if full and not is_dry then passes = 0 end
  local own_cost = used == 0 and not has_passed and tonumber(ARGV[at + 3]) or 0
  if own_cost > 0 then
    cost = math.max(cost, own_cost)
    all_dry = all_dry and is_dry
  end
  rules[i] = {
    limit = limit, window = window, charge = charge, current = current, counts = counts, used = used,
    full = full, field = field, outdated = outdated, is_new = own_cost > 0,
  }
end

-- New values write keys, and a client can invent as many as it likes.
local too_many_new = false
if cost > 0 and passes == 1 and ARGV[6] ~= '' then
  local client, second = KEYS[window_rules + flight_rules + 1], string.format('%.0f', floor(now / 1000))
  too_many_new = tonumber(call('HGET', client, second) or 0) + cost > tonumber(ARGV[6])
  if not too_many_new then
    if call('HINCRBY', client, second, cost) == cost then call('PEXPIRE', client, 2 * SLACK) end
  elseif not all_dry then
    passes = -1
  end
end

local answer = { passes }
for i = 1, window_rules do
  local rule = rules[i]
  local limit, counts, used = rule.limit, rule.counts, rule.used
  -- What only counts refuses nobody, but writes nothing new either.
  if passes == 1 and not has_passed and not rule.full and not (too_many_new and rule.is_new) then
    if rule.outdated then call('HDEL', KEYS[i], unpack(rule.outdated)) end
    counts[0] = call('HINCRBY', KEYS[i], rule.field or rule.current, rule.charge)
    used = used + rule.charge
    -- All charges of a sub-window stop counting at the same time, so the first of them sets the expiry.
    if counts[0] == rule.charge then
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
  answer[5 * i - 3] = used
  answer[5 * i - 2] = math.max(limit - used, 0)
  answer[5 * i - 1] = reset
  answer[5 * i] = rule.full and 1 or 0
  answer[5 * i + 1] = rule.current
end
for i = 1, flight_rules do
  local flight = flights[i]
  local in_flight = flight.others
  if flight.has_place then
    in_flight = in_flight + 1
  elseif passes == 1 and not has_passed and not flight.full then
    call('ZREMRANGEBYSCORE', flight.key, '-inf', now)
    call('ZADD', flight.key, now + tonumber(ARGV[5]), ARGV[4])
    call('PEXPIRE', flight.key, tonumber(ARGV[5]) + SLACK)
    in_flight = in_flight + 1
  end
  answer[#answer + 1] = in_flight
  answer[#answer + 1] = flight.full and 1 or 0
end
return answer
