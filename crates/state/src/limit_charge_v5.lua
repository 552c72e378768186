-- Charges a request by every rule, or by none. One Lua call, so nothing comes in between.
--
-- KEYS[1 .. n]   the hash of window rule i: number of a sub-window -> what is charged in it
-- the next f     the sorted set of each rule on what is in flight: lease -> when it ends
-- the next r     the sorted set of each window rule that reserves: "amount:lease" -> when that ends, and "r" -> what all of
--                them come to, below zero, so that no time is like it
-- the last       where there is a bound on new values, the hash of the client: second -> what they cost in it
-- ARGV[1]        milliseconds since 1970 for tests; empty: Redis' own clock
-- ARGV[2 .. 4]   n, f and r
-- ARGV[5], [6]   this request's lease, and how long it lasts in milliseconds
-- ARGV[7]        what a client's new values may cost in a second; empty: any amount
-- ARGV[6i + 2 .. 6i + 7]  of window rule i: its limit, its window in milliseconds, 1 if it only counts (dry run), what it
--                costs to begin a window that counts nobody yet (of a request's the dearest is booked), what it charges,
--                1 if that is reserved until it is settled
-- then           of each rule on what is in flight: its limit, 1 if it only counts
--
-- Answers flat integers: 1 if the request passes, 0 if a rule refuses it, -1 if the bound on new values does; then of
-- each window rule: what is charged in the window and reserved, how much more may be, milliseconds until more may (of one
-- that had no room: until it has; 0 where nobody knows, as reservations are in its way), 1 if it had no room for this one,
-- 2 if it only counts and was passed over as a new value too many, the number of the current sub-window, what of the
-- first is reserved; then of each rule on what is in flight: how many are, 1 if it had no room for this one.

local SUB_WINDOWS = 6
local SLACK = 1000
-- So many reservations of holders that died are taken back in one call.
local MAX_ENDED = 1000
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
local reserving_rules, lease, lease_ms = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local passes = 1

-- A request whose lease is there is one that was sent again: it has passed, and is charged nothing more.
local has_passed = false
local flights = {}
for i = 1, flight_rules do
  local at, key = 8 + 6 * window_rules + 2 * (i - 1), KEYS[window_rules + i]
  local others = call('ZCOUNT', key, '(' .. now, '+inf')
  local ends = others > 0 and call('ZSCORE', key, lease)
  local has_place = ends and tonumber(ends) > now
  if has_place then
    others = others - 1
    has_passed = true
  end
  local full = not has_place and others >= tonumber(ARGV[at])
  if full and ARGV[at + 1] ~= '1' then passes = 0 end
  flights[i] = { key = key, others = others, has_place = has_place, full = full }
end

-- Of each rule that reserves: its key, this request's own entry, and what is reserved. What holders that died had
-- reserved is taken back.
local reservations = {}
local reserving = 0
for i = 1, window_rules do
  local at = 6 * i + 2
  if ARGV[at + 5] == '1' then
    reserving = reserving + 1
    local key, own = KEYS[window_rules + flight_rules + reserving], ARGV[at + 4] .. ':' .. lease
    local reserved = -tonumber(call('ZSCORE', key, 'r') or 0)
    if reserved > 0 then
      local ended = call('ZRANGEBYSCORE', key, '(0', now, 'LIMIT', 0, MAX_ENDED)
      local freed = 0
      for e = 1, #ended do
        freed = freed + tonumber(string.match(ended[e], '^%d+'))
      end
      if freed > 0 then
        call('ZREM', key, unpack(ended))
        call('ZINCRBY', key, freed, 'r')
        reserved = reserved - freed
      end
      if call('ZSCORE', key, own) then has_passed = true end
    end
    reservations[i] = { key = key, own = own, amount = reserved }
  end
end
if has_passed then passes = 1 end

-- What this request's new values cost, and whether all are of rules that only count.
local cost, all_dry = 0, true
local rules = {}
for i = 1, window_rules do
  local at = 6 * i + 2
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
  local charge, reserved = tonumber(ARGV[at + 4]), reservations[i] and reservations[i].amount or 0
  -- What costs nothing yet needs room all the same.
  local full, is_dry = used + reserved + math.max(charge, 1) > limit and not has_passed, ARGV[at + 2] == '1'
  if full and not is_dry then passes = 0 end
  local own_cost = used + reserved == 0 and not has_passed and tonumber(ARGV[at + 3]) or 0
  if own_cost > 0 then
    cost = math.max(cost, own_cost)
    all_dry = all_dry and is_dry
  end
  rules[i] = {
    limit = limit, window = window, charge = charge, current = current, counts = counts, used = used,
    full = full, field = field, outdated = outdated, is_new = own_cost > 0, reserved = reserved,
  }
end

-- New values write keys, and a client can invent as many as it likes.
local too_many_new = false
if cost > 0 and passes == 1 and ARGV[7] ~= '' then
  local client, second = KEYS[window_rules + flight_rules + reserving_rules + 1], string.format('%.0f', floor(now / 1000))
  too_many_new = tonumber(call('HGET', client, second) or 0) + cost > tonumber(ARGV[7])
  if not too_many_new then
    if call('HINCRBY', client, second, cost) == cost then call('PEXPIRE', client, 2 * SLACK) end
  elseif not all_dry then
    passes = -1
  end
end

local answer = { passes }
for i = 1, window_rules do
  local rule = rules[i]
  local limit, counts, used, reserved = rule.limit, rule.counts, rule.used, rule.reserved
  -- What only counts refuses nobody, but writes nothing new either.
  local is_passed_over = too_many_new and rule.is_new and passes == 1
  if passes == 1 and not has_passed and not rule.full and not is_passed_over then
    if rule.outdated then call('HDEL', KEYS[i], unpack(rule.outdated)) end
    local reservation = reservations[i]
    if not reservation then
      counts[0] = call('HINCRBY', KEYS[i], rule.field or rule.current, rule.charge)
      used = used + rule.charge
      -- All charges of a sub-window stop counting at the same time, so the first of them sets the expiry.
      if counts[0] == rule.charge then
        call('PEXPIRE', KEYS[i], counted_for(rule.current, rule.window) + SLACK)
      end
    elseif rule.charge > 0 then
      reserved = reserved + rule.charge
      call('ZADD', reservation.key, now + lease_ms, reservation.own, -reserved, 'r')
      call('PEXPIRE', reservation.key, lease_ms + SLACK)
    end
  end
  local reset = 0
  local wanted = math.min(used + reserved, limit) - 1
  if rule.full then wanted = limit - math.max(rule.charge, 1) end
  -- Of what is reserved nobody knows when it ends.
  if used > 0 and not (rule.full and math.max(wanted, 0) < reserved) then
    local left = used
    wanted = math.max(wanted - reserved, 0)
    for age = SUB_WINDOWS, 0, -1 do
      left = left - (counts[age] or 0)
      if left <= wanted then
        reset = counted_for(rule.current - age, rule.window)
        break
      end
    end
  end
  answer[6 * i - 4] = used + reserved
  answer[6 * i - 3] = math.max(limit - used - reserved, 0)
  answer[6 * i - 2] = reset
  answer[6 * i - 1] = rule.full and 1 or is_passed_over and 2 or 0
  answer[6 * i] = rule.current
  answer[6 * i + 1] = reserved
end
for i = 1, flight_rules do
  local flight = flights[i]
  local in_flight = flight.others
  if flight.has_place then
    in_flight = in_flight + 1
  elseif passes == 1 and not has_passed and not flight.full then
    call('ZREMRANGEBYSCORE', flight.key, '-inf', now)
    call('ZADD', flight.key, now + lease_ms, lease)
    call('PEXPIRE', flight.key, lease_ms + SLACK)
    in_flight = in_flight + 1
  end
  answer[#answer + 1] = in_flight
  answer[#answer + 1] = flight.full and 1 or 0
end
return answer
