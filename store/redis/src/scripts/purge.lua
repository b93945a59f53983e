-- Drops what is past its end in one bucket, and says how much.
-- KEYS: 2 the keys of all records, 3 of the open ones, 4 of those with an end.
-- ARGV: 3 where records of the bucket lie, 4 how many at the most.
local past = redis.call('ZRANGE', KEYS[4], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[4])
for at, key in ipairs(past) do
  -- What is on its way to another server of a cluster is dropped there, another time.
  if type(redis.pcall('DEL', ARGV[3] .. key)) == 'table' then return at - 1 end
  for list = 2, 4 do redis.call('ZREM', KEYS[list], key) end
end
return #past
