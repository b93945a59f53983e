-- ARGV: 3 the incarnation, 4 the version, 5 the retention in milliseconds, 6 the host's encoding of the entry.
local function write(created)
  local written = struct.pack('>I8', now) .. ARGV[3]
  local was_open = record and string.byte(record, 57) == 1
  local had_end = record and ends < NEVER
  local until_ms = math.min(now + tonumber(ARGV[5]), NEVER)
  redis.call('SET', KEYS[2], ARGV[4] .. (created or written) .. written .. struct.pack('>I8', until_ms) .. ARGV[6])
  if not record then redis.call('ZADD', KEYS[3], 0, key) end
  local is_open = string.byte(ARGV[6]) == 1
  if is_open and not was_open then
    redis.call('ZADD', KEYS[4], 0, key)
  elseif was_open and not is_open then
    redis.call('ZREM', KEYS[4], key)
  end
  if until_ms < NEVER then
    redis.call('ZADD', KEYS[5], until_ms, key)
  elseif had_end then
    redis.call('ZREM', KEYS[5], key)
  end
  return now
end
