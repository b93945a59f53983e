-- Returns a page of the keys of one bucket, in their order.
-- KEYS: 2 the list of keys. ARGV: 3 the prefix of the bucket's records, 4 the previous key or "", 5 the limit,
-- 6 the wanted states (a byte each) or "" for all, 7 the wanted tenant (its length in two bytes in front) or "",
-- 8 only due records: 1 or 0.
local limit = tonumber(ARGV[5])

-- The offsets of a record's head with its labels: see `write.lua`, and `record.rs` of the host.
local HEAD, TENANT_AT = 332, 75
local function matches(head)
  if struct.unpack('>I8', head, 49) <= now then return false end
  if ARGV[8] == '1' and struct.unpack('>I8', head, 33) + struct.unpack('>I8', head, 58) > now then return false end
  if ARGV[6] ~= '' and not string.find(ARGV[6], string.sub(head, 66, 66), 1, true) then return false end
  return ARGV[7] == '' or string.sub(head, TENANT_AT, TENANT_AT + #ARGV[7] - 1) == ARGV[7]
end

-- A record that is moving to another node of a cluster is an error, not a loss.
local found, from = {}, ARGV[4] == '' and '-' or '(' .. ARGV[4]
while #found < limit do
  local keys = redis.call('ZRANGE', KEYS[2], from, '+', 'BYLEX', 'LIMIT', 0, 200)
  for _, key in ipairs(keys) do
    local head = redis.pcall('GETRANGE', ARGV[3] .. key, 0, HEAD - 1)
    if type(head) == 'table' then return redis.error_reply('TRYAGAIN ' .. head.err) end
    -- A lost record is listed, so that a reader gets its error.
    if #found < limit and (head == '' or matches(head)) then found[#found + 1] = key end
  end
  if #keys < 200 then break end
  from = '(' .. keys[#keys]
end
return found
