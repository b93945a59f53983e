#!lua
-- Gives a bucket the life of the ledger, and drops from its lists what is not there any more. Says how many those were.
-- KEYS: 1 the bucket's life, 2 the keys of all records, 3 of the open ones, 4 of those with an end.
-- ARGV: 1 the life, 2 where records of the bucket lie.
local lost = 0
for _, key in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if redis.call('EXISTS', ARGV[2] .. key) == 0 then
    for at = 2, 4 do redis.call('ZREM', KEYS[at], key) end
    lost = lost + 1
  end
end
redis.call('SET', KEYS[1], ARGV[1])
return lost
