if lying then return {now, lying} end
-- A record that is in the list of all keys but not there was evicted, or deleted by somebody else.
if not record and redis.call('ZSCORE', KEYS[3], key) then return RECORD_LOST end
return write(nil)
