if present then return {now, present} end
-- A listed record that is absent was evicted, or deleted by another program.
if not record and redis.call('ZSCORE', KEYS[3], key) then return RECORD_LOST end
return write(nil)
