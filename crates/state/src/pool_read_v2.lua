-- Reads what is the matter with a provider's endpoints and keys.
--
-- KEYS[1]    a hash: name -> state:end:since, both in milliseconds since 1970 by Redis' own clock
-- ARGV[1]    milliseconds since 1970 for tests; empty: Redis' own clock
-- Answers name, state and the milliseconds that are left, in turn. What has ended is left out.

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local entries = redis.call('HGETALL', KEYS[1])
local answer = {}
for i = 1, #entries, 2 do
  local state, ends, since = string.match(entries[i + 1], '^(%a+):(%d+):(%d+)$')
  if state and tonumber(ends) > now then
    answer[#answer + 1] = entries[i]
    answer[#answer + 1] = state
    answer[#answer + 1] = string.format('%d', tonumber(ends) - now)
    answer[#answer + 1] = string.format('%d', math.max(0, now - tonumber(since)))
  end
end
return answer
