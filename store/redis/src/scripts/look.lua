#!lua
-- Reads the marker of the ledger, once it was asked whether this user may do all that the scripts do.
-- KEYS: 1 the marker.
-- Answers: {} where there is no ledger; {schema} where something else lies there; {'denied', command}; or
-- {schema, life, losses, whether it is ready, what was seen of the servers}.
local key, score = 'semel:{000}:r:', '0'
for _, needed in ipairs({
  {'GET', key}, {'SET', key, ''}, {'DEL', key}, {'GETRANGE', key, '0', '1'}, {'ZADD', key, score, ''},
  {'ZREM', key, ''}, {'ZSCORE', key, ''}, {'ZCOUNT', key, score, score}, {'ZRANGE', key, '-', '+', 'BYLEX'}, {'TIME'},
  {'HSET', KEYS[1], 'schema', '1'}, {'HMGET', KEYS[1], 'schema'}, {'PUBLISH', 'semel:0:changed', ''},
}) do
  if not redis.acl_check_cmd(unpack(needed)) then return {'denied', needed[1]} end
end

local schema, life, losses, ready, seen = unpack(redis.call('HMGET', KEYS[1], 'schema', 'life', 'losses', 'ready', 'seen'))
if not schema then return {} end
if not (life and losses and ready) then return {schema} end
return {schema, life, losses, ready, seen or ''}
