-- What every script on one record goes on with.
-- KEYS: 2 the record, 3 the keys of all records, 4 of the open ones, 5 of those with an end.
-- Answers: the time of what was done; or {time, record or nothing}, what lies there instead; or this:
local RECORD_LOST = -2
-- Past this, numbers are not exact. An end beyond it is none.
local NEVER = 9007199254740992

-- A record: version 16, created 16, written 16 (each the time and the incarnation), end 8, then what the host made of
-- the entry, which begins with whether it is open.
local record = redis.call('GET', KEYS[2])
local ends = record and struct.unpack('>I8', record, 49)
local lying = record and ends > now and record
local key = string.sub(KEYS[2], -32)
