#!lua
-- Notes in the marker of the ledger what was seen of the servers, and what may be lost, unless anything changed there since
-- it was read: whether it did.
-- KEYS: 1 the marker. ARGV: 1 the life, 2 the losses and 3 what was seen, as they were read; 4 the losses, 5 what was seen now.
local life, losses, seen = unpack(redis.call('HMGET', KEYS[1], 'life', 'losses', 'seen'))
if life ~= ARGV[1] or losses ~= ARGV[2] or (seen or '') ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], 'losses', ARGV[4], 'seen', ARGV[5])
return 1
