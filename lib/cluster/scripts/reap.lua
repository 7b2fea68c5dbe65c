-- Ends a bounded number of held IDs that have expired, or of registrations of a dead node. One node does this for all.
-- Replies with the number; 0 if none is left, or if another node does this.
local node, ttl = unpack(ARGV)
if not redis.call('SET', REAPER_KEY, node, 'NX', 'PX', REAPER_MS) then
  if redis.call('GET', REAPER_KEY) ~= node then return 0 end
  redis.call('SET', REAPER_KEY, node, 'PX', REAPER_MS)
end
local time = now()
local expired = redis.call('ZRANGE', HELD_KEY, '-inf', time, 'BYSCORE', 'LIMIT', 0, REAPED_AT_ONCE)
for _, held in ipairs(expired) do
  local room, id = readEntry(held)
  local ids = IDS_PREFIX .. room .. '}'
  local record = read(ids, id)
  if record and record.n == '' then remove(ids, room, id, record) else redis.call('ZREM', HELD_KEY, held) end
end
if #expired > 0 then return #expired end
local dead = redis.call('ZRANGE', NODES_KEY, '-inf', time - NODE_LIFETIME_MS, 'BYSCORE', 'LIMIT', 0, 1)[1]
if not dead then return 0 end
local clients = redis.call('SPOP', CLIENTS_PREFIX .. dead, REAPED_AT_ONCE)
for _, client in ipairs(clients) do
  local room, id = readEntry(client)
  local ids = IDS_PREFIX .. room .. '}'
  local record = read(ids, id)
  if record and record.n == dead then retire(ids, room, id, record, ttl) end
end
if #clients > 0 then return #clients end
redis.call('ZREM', NODES_KEY, dead)
publishEnd(dead, 'node_dead')
return 1
