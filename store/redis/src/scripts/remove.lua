-- ARGV: 3 the expected version, 4 the channel of the key's changes.
if not present or string.sub(present, 1, 16) ~= ARGV[3] then return {now, present} end
redis.call('DEL', KEYS[2])
for at = 3, 5 do redis.call('ZREM', KEYS[at], key) end
redis.pcall('PUBLISH', ARGV[4], key)
return now
