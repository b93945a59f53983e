#!lua
-- Reads the marker of the ledger, after a check of the user's permissions for all commands of the scripts.
-- KEYS: 1 the marker.
-- Returns {} without a ledger; {schema} for other content; {'denied', command}; or
-- {schema, epoch, losses, is ready, recorded facts of the servers}.
local key, score = 'semel:{000}:r:', '0'
for _, needed in ipairs({
  {'GET', key}, {'SET', key, ''}, {'DEL', key}, {'GETRANGE', key, '0', '1'}, {'ZADD', key, score, ''},
  {'ZREM', key, ''}, {'ZSCORE', key, ''}, {'ZCOUNT', key, score, score}, {'ZRANGE', key, '-', '+', 'BYLEX'}, {'TIME'},
  {'HSET', KEYS[1], 'schema', '1'}, {'HMGET', KEYS[1], 'schema'}, {'PUBLISH', 'semel:0:changed', ''},
}) do
  if not redis.acl_check_cmd(unpack(needed)) then return {'denied', needed[1]} end
end

local schema, epoch, losses, ready, seen = unpack(redis.call('HMGET', KEYS[1], 'schema', 'life', 'losses', 'ready', 'seen'))
if not schema then return {} end
if not (epoch and losses and ready) then return {schema} end
return {schema, epoch, losses, ready, seen or ''}
