#!lua
-- Begins a life of the ledger in its marker, unless another host did meanwhile, and says which life it is.
-- KEYS: 1 the marker. ARGV: 1 the schema, 2 the new life, 3 the life that is to end or '' where there was none.
local life = redis.call('HGET', KEYS[1], 'life')
if (life or '') ~= ARGV[3] then return life or '' end
redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'life', ARGV[2], 'losses', '', 'ready', '0')
return ARGV[2]
