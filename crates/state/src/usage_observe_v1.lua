-- Adds an amount to what calls of one kind have used.
--
-- KEYS[1]   the hash: bucket -> how many amounts were in it; "n" -> how many in all; "p" -> the bucket of the 95th percentile
-- ARGV[1]   the amount's bucket
-- ARGV[2]   at how many observations all are halved
-- ARGV[3]   how long it lives without another one, in milliseconds
--
-- Answers 1.

local call, floor = redis.call, math.floor
local key = KEYS[1]
call('HINCRBY', key, ARGV[1], 1)
local fields = call('HGETALL', key)
local counts, all, highest = {}, 0, 0
for f = 1, #fields, 2 do
  local bucket = tonumber(fields[f])
  if bucket then
    local count = tonumber(fields[f + 1])
    counts[bucket] = count
    all = all + count
    if bucket > highest then highest = bucket end
  end
end
if all >= tonumber(ARGV[2]) then
  all = 0
  for bucket, count in pairs(counts) do
    count = floor(count / 2)
    counts[bucket] = count
    all = all + count
    if count > 0 then
      call('HSET', key, bucket, count)
    else
      call('HDEL', key, bucket)
    end
  end
end
local above, percentile = 0, 0
for bucket = highest, 0, -1 do
  above = above + (counts[bucket] or 0)
  if above * 20 > all then
    percentile = bucket
    break
  end
end
call('HSET', key, 'n', all, 'p', percentile)
call('PEXPIRE', key, ARGV[3])
return 1
