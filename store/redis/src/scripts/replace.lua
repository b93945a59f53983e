-- ARGV: 7 the expected version, 8 the channel of the key's changes.
if not present or string.sub(present, 1, 16) ~= ARGV[7] then return {now, present} end
write(string.sub(present, 17, 32))
-- Without the permission to publish, waiters poll.
redis.pcall('PUBLISH', ARGV[8], key)
return now
