-- A page of the keys of one bucket, in their order.
-- KEYS: 2 the keys to look through. ARGV: 3 where records of the bucket lie, 4 only after this key or "", 5 how many,
-- 6 only of these states (a byte each) or "", 7 only of this tenant (its length in two bytes before it) or "",
-- 8 only what is due: 1 or 0.
local limit = tonumber(ARGV[5])

-- The head of a record, its labels included: see the script that writes it, and the host's `record.rs`.
local HEAD, TENANT_AT = 332, 75
local function matches(head)
  if struct.unpack('>I8', head, 49) <= now then return false end
  if ARGV[8] == '1' and struct.unpack('>I8', head, 33) + struct.unpack('>I8', head, 58) > now then return false end
  if ARGV[6] ~= '' and not string.find(ARGV[6], string.sub(head, 66, 66), 1, true) then return false end
  return ARGV[7] == '' or string.sub(head, TENANT_AT, TENANT_AT + #ARGV[7] - 1) == ARGV[7]
end

-- A record that is on its way to another server of a cluster is an error: it is not lost.
local found, from = {}, ARGV[4] == '' and '-' or '(' .. ARGV[4]
while #found < limit do
  local keys = redis.call('ZRANGE', KEYS[2], from, '+', 'BYLEX', 'LIMIT', 0, 200)
  for _, key in ipairs(keys) do
    local head = redis.pcall('GETRANGE', ARGV[3] .. key, 0, HEAD - 1)
    if type(head) == 'table' then return redis.error_reply('TRYAGAIN ' .. head.err) end
    -- A record that was lost is listed, so that somebody looks.
    if #found < limit and (head == '' or matches(head)) then found[#found + 1] = key end
  end
  if #keys < 200 then break end
  from = '(' .. keys[#keys]
end
return found
