-- Reads what is the matter with the endpoints and keys of some providers.
--
-- KEYS       hashes, one a provider: name -> state:end:since, both in milliseconds since 1970 by Redis' own clock
-- ARGV[1]    milliseconds since 1970 for tests; empty: Redis' own clock
-- Answers for each entry the number of its provider among KEYS, name, state, the milliseconds that are left, and those
-- since when. What has ended is left out.

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local answer = {}
for provider, key in ipairs(KEYS) do
  local entries = redis.pcall('HGETALL', key)
  if entries.err then
    -- What is no hash concerns its own provider alone; anything else concerns the operator.
    if not string.find(entries.err, 'WRONGTYPE', 1, true) then
      return entries
    end
    entries = {}
  end
  for i = 1, #entries, 2 do
    local state, ends, since = string.match(entries[i + 1], '^(%a+):(%d+):(%d+)$')
    if state and tonumber(ends) > now then
      answer[#answer + 1] = string.format('%d', provider)
      answer[#answer + 1] = entries[i]
      answer[#answer + 1] = state
      answer[#answer + 1] = string.format('%d', tonumber(ends) - now)
      answer[#answer + 1] = string.format('%d', math.max(0, now - tonumber(since)))
    end
  end
end
return answer
