#!lua
-- Records the facts of the servers and the possible losses in the marker (compare-and-swap). Returns 1, or 0 if the
-- marker has changed since it was read.
-- KEYS: 1 the marker. ARGV: the epoch (1), losses (2) and facts (3) as they were read; the new losses (4) and facts (5).
local epoch, losses, seen = unpack(redis.call('HMGET', KEYS[1], 'life', 'losses', 'seen'))
if epoch ~= ARGV[1] or losses ~= ARGV[2] or (seen or '') ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], 'losses', ARGV[4], 'seen', ARGV[5])
return 1
