-- Notes a node's heartbeat, and ends the held IDs that have expired. Replies with the time, whether the node was known, and
-- the dead nodes; or `refused` if other nodes were started with another list of Redis servers. Only the first heartbeat of a
-- session makes a node known: at a later one, an unknown node is about to end its session, and nothing may be sent to it.
local node, isFirst, list = unpack(ARGV)
local time = now()
local known = isAlive(node)
if isFirst == '1' and redis.call('GET', LIST_KEY) ~= list then
  local living = redis.call('ZCOUNT', NODES_KEY, time - NODE_LIFETIME_MS, '+inf')
  if living > (known and 1 or 0) then return 'refused' end
  redis.call('SET', LIST_KEY, list)
end
if known or isFirst == '1' then redis.call('ZADD', NODES_KEY, time, node) end
for _, held in ipairs(redis.call('ZRANGE', HELD_KEY, '-inf', time, 'BYSCORE', 'LIMIT', 0, REAPED_AT_ONCE)) do
  local room, id = readEntry(held)
  local ids = IDS_PREFIX .. room .. '}'
  local record = read(ids, id)
  if record and record.n == '' then remove(ids, room, id, record) else redis.call('ZREM', HELD_KEY, held) end
end
local dead = redis.call('ZRANGE', NODES_KEY, '-inf', time - NODE_LIFETIME_MS, 'BYSCORE')
return { time, known and 1 or 0, dead }
