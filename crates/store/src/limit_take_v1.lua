-- Takes one request's place from every rule, or from none. One Lua call, so nothing comes in between.
--
-- KEYS[i]            the hash of rule i: number of a sub-window -> requests that passed in it
-- ARGV[1]            milliseconds since 1970 for tests; empty: Redis' own clock
-- ARGV[3i - 1 ...]   of rule i: its limit, its window in milliseconds, 1 if it only counts (dry run)
--
-- Answers flat integers: 1 if the request passes, then of each rule: requests in the window, how many more may
-- pass, milliseconds until more may, 1 if it had no room for this one.

local SUB_WINDOWS = 6
local SLACK = 1000

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function begin(index, window)
  return math.ceil(index * window / SUB_WINDOWS)
end

local passes = 1
local rules = {}
for i = 1, #KEYS do
  local limit, window = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local fields = redis.call('HGETALL', KEYS[i])
  local current = math.floor(now * SUB_WINDOWS / window)
  -- After a small step back of the clock the newest sub-window stays the current one.
  local newest = current
  for f = 1, #fields, 2 do
    local index = tonumber(fields[f])
    if index > newest and index <= current + SUB_WINDOWS then newest = index end
  end
  current = newest
  local counts, outdated, used = {}, {}, 0
  for f = 1, #fields, 2 do
    local index = tonumber(fields[f])
    if index < current - SUB_WINDOWS or index > current then
      outdated[#outdated + 1] = fields[f]
    else
      counts[index] = tonumber(fields[f + 1])
      used = used + counts[index]
    end
  end
  local full = used >= limit
  if full and ARGV[3 * i + 1] ~= '1' then passes = 0 end
  rules[i] = { limit, window, current, counts, outdated, used, full }
end

local answer = { passes }
for i = 1, #KEYS do
  local limit, window, current, counts, outdated, used, full = unpack(rules[i])
  if passes == 1 and not full then
    if #outdated > 0 then redis.call('HDEL', KEYS[i], unpack(outdated)) end
    local count = redis.call('HINCRBY', KEYS[i], current, 1)
    -- All requests of a sub-window are out of every window at the same time, so the first sets the expiry.
    if count == 1 then
      redis.call('PEXPIRE', KEYS[i], begin(current + SUB_WINDOWS + 1, window) - now + SLACK)
    end
    counts[current] = count
    used = used + 1
  end
  local reset, left = 0, used
  local wanted = math.max(math.min(used, limit) - 1, 0)
  if used > 0 then
    for index = current - SUB_WINDOWS, current do
      left = left - (counts[index] or 0)
      if left <= wanted then
        reset = begin(index + SUB_WINDOWS + 1, window) - now
        break
      end
    end
  end
  answer[#answer + 1] = used
  answer[#answer + 1] = math.max(limit - used, 0)
  answer[#answer + 1] = reset
  answer[#answer + 1] = full and 1 or 0
end
return answer
