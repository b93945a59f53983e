#!lua
-- Writes the epoch into a bucket, and removes lost records from its lists. Returns their number.
-- KEYS: 1 the bucket's epoch, and the lists of: 2 all records, 3 open records, 4 records with an end.
-- ARGV: 1 the epoch, 2 the prefix of the bucket's records.
local lost = 0
for _, key in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if redis.call('EXISTS', ARGV[2] .. key) == 0 then
    for at = 2, 4 do redis.call('ZREM', KEYS[at], key) end
    lost = lost + 1
  end
end
redis.call('SET', KEYS[1], ARGV[1])
return lost
