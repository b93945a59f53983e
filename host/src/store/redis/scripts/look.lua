#!lua
-- Looks at the marker of the ledger, and notes there whether the server may have lost anything since the last look.
-- KEYS: 1 the marker. ARGV: 1 whether a restart may lose what was acknowledged: 1 or 0.
-- Answers: {} where there is no ledger; {schema} where something else lies there; {'denied', command}; or
-- {schema, life, losses, whether it is ready, whether the append-only file holds everything}.
local key, score = 'semel:{000}:r:', '0'
for _, needed in ipairs({
  {'GET', key}, {'SET', key, ''}, {'DEL', key}, {'GETRANGE', key, '0', '1'}, {'ZADD', key, score, ''},
  {'ZREM', key, ''}, {'ZSCORE', key, ''}, {'ZCOUNT', key, score, score}, {'ZRANGE', key, '-', '+', 'BYLEX'}, {'TIME'},
  {'HSET', KEYS[1], 'schema', '1'}, {'HMGET', KEYS[1], 'schema'}, {'INFO'}, {'PUBLISH', 'semel:0:changed', ''},
}) do
  if not redis.acl_check_cmd(unpack(needed)) then return {'denied', needed[1]} end
end

local marker = redis.call('HMGET', KEYS[1], 'schema', 'life', 'losses', 'ready', 'run', 'failover', 'evicted', 'whole')
local schema, life, losses, ready, run, failover, evicted, whole = unpack(marker)
if not schema then return {} end
if not (life and losses and ready) then return {schema} end

local info = redis.call('INFO', 'server', 'replication', 'stats', 'persistence')
local now = {run = info:match('run_id:(%x+)') or '', evicted = info:match('evicted_keys:(%d+)') or '0', failover = failover}
-- A replica that was made master keeps the name of the history that it followed, until it is restarted.
local followed, offset = info:match('master_replid2:(%x+)'), info:match('second_repl_offset:(-?%d+)')
if followed and followed:find('[^0]') then now.failover = followed .. offset end

-- Until it was written as a whole once, as after the server took over, the append-only file may lack all of before.
local is_written_anew = info:find('aof_rewrite_in_progress:1') or info:find('aof_rewrite_scheduled:1')
local holds = whole
if not info:find('aof_enabled:1') then holds = '' elseif not is_written_anew then holds = now.run end
if holds and holds ~= whole then redis.call('HSET', KEYS[1], 'whole', holds) end

local is_first = not run
local restarted = not is_first and run ~= now.run
local was_lost = (restarted and ARGV[1] == '1')
  or (not is_first and failover ~= now.failover)
  or tonumber(now.evicted) > (restarted and 0 or tonumber(evicted or 0))
if was_lost then losses = redis.sha1hex(losses .. now.run .. tostring(now.failover) .. now.evicted) end
if is_first or restarted or was_lost or now.evicted ~= evicted then
  redis.call('HSET', KEYS[1], 'run', now.run, 'evicted', now.evicted, 'failover', now.failover or '', 'losses', losses)
end
return {schema, life, losses, ready, holds == now.run and '1' or '0'}
