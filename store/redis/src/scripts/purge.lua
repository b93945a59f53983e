-- Deletes expired records of one bucket, and returns their number.
-- KEYS: the lists of 2 all records, 3 open records, 4 records with an end.
-- ARGV: 3 the prefix of the bucket's records, 4 the limit.
local past = redis.call('ZRANGE', KEYS[4], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[4])
for at, key in ipairs(past) do
  -- A record that is moving to another node of a cluster is deleted there, by a later purge.
  if type(redis.pcall('DEL', ARGV[3] .. key)) == 'table' then return at - 1 end
  for list = 2, 4 do redis.call('ZREM', KEYS[list], key) end
end
return #past
