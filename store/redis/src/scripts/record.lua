-- The second part of every script on one record.
-- KEYS: 2 the record, and the lists of 3 all records, 4 open records, 5 records with an end.
-- Returns the time of the write; {time, record or nil} if nothing was written; or this for a lost record:
local RECORD_LOST = -2
-- The largest exact number. An end beyond it means none.
local NEVER = 9007199254740992

-- A record: version (16 bytes), created and written (16 each: time, incarnation), end (8), then the host's encoding of
-- the entry, which begins with the flag of open records.
local record = redis.call('GET', KEYS[2])
local ends = record and struct.unpack('>I8', record, 49)
local present = record and ends > now and record
local key = string.sub(KEYS[2], -32)
