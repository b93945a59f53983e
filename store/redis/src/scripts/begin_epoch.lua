#!lua
-- Begins an epoch of the ledger in its marker (field `life`), unless another host did since. Returns the epoch.
-- KEYS: 1 the marker. ARGV: 1 the schema, 2 the new epoch, 3 the epoch that ends, or '' without one.
local epoch = redis.call('HGET', KEYS[1], 'life')
if (epoch or '') ~= ARGV[3] then return epoch or '' end
redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'life', ARGV[2], 'losses', '', 'ready', '0')
return ARGV[2]
