-- Says what is the matter with one of a provider's endpoints or keys, or that nothing is any more.
--
-- KEYS[1]    the hash that pool_read_v3 reads
-- ARGV[1]    milliseconds since 1970 for tests; empty: Redis' own clock
-- ARGV[2]    the endpoint's or key's name
-- ARGV[3]    its state; empty: nothing is the matter
-- ARGV[4]    for how many milliseconds
-- Entries that have ended are removed, and the hash lives as long as its last one.

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[2])
else
  local ends = now + tonumber(ARGV[4])
  local known = redis.call('HGET', KEYS[1], ARGV[2])
  local known_state, known_end = string.match(known or '', '^(%a+):(%d+)')
  local holds = known_state and tonumber(known_end) > now
  -- News may be older than what is known: a key that is out is not put back by its being limited, nor what a probe or a
  -- call after it has found by a call that was served before.
  local stronger = ({served = 'doubted trusted', doubted = 'trusted'})[ARGV[3]] or ''
  if not (holds and (known_state == 'out' and ARGV[3] ~= 'out' or string.find(stronger, known_state, 1, true)))
    and not (holds and known_state == ARGV[3] and tonumber(known_end) >= ends) then
    redis.call('HSET', KEYS[1], ARGV[2], string.format('%s:%d:%d', ARGV[3], ends, now))
  end
end
local last = 0
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local ends = tonumber(string.match(entries[i + 1], '^%a+:(%d+)') or '0')
  if ends <= now then
    redis.call('HDEL', KEYS[1], entries[i])
  elseif ends > last then
    last = ends
  end
end
if last > 0 then
  redis.call('PEXPIRE', KEYS[1], last - now)
end
return 1
