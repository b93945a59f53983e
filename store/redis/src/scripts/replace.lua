-- ARGV: 7 the version that is expected, 8 the channel on which the key's changes are told.
if not lying or string.sub(lying, 1, 16) ~= ARGV[7] then return {now, lying} end
write(string.sub(lying, 17, 32))
-- Who may not publish wakes nobody, and everybody looks by himself.
redis.pcall('PUBLISH', ARGV[8], key)
return now
