#!lua
-- The beginning of every script on a bucket. All keys of one script are in the slot of one bucket.
-- KEYS: 1 the bucket's epoch. ARGV: 1 the epoch that the host knows, 2 its clock in milliseconds, or '' for the
-- server's.
local EPOCH_ENDED = -1
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return EPOCH_ENDED end

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
