-- Ends registrations of a dead node, a bounded number at a time. Replies with that number; 0 if none is left.
local dead, ttl = unpack(ARGV)
if isAlive(dead) then return 0 end
local clients = redis.call('SPOP', CLIENTS_PREFIX .. dead, REAPED_AT_ONCE)
if #clients == 0 then redis.call('ZREM', NODES_KEY, dead) end
for _, client in ipairs(clients) do
  local room, id = readEntry(client)
  local ids = IDS_PREFIX .. room .. '}'
  local record = read(ids, id)
  if record and record.n == dead then retire(ids, room, id, record, ttl) end
end
return #clients
