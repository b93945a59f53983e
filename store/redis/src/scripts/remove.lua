-- ARGV: 3 the version that is expected, 4 the channel on which the key's changes are told.
if not lying or string.sub(lying, 1, 16) ~= ARGV[3] then return {now, lying} end
redis.call('DEL', KEYS[2])
for at = 3, 5 do redis.call('ZREM', KEYS[at], key) end
redis.pcall('PUBLISH', ARGV[4], key)
return now
