-- A sign of life; those of the IDs that Redis holds whose time is up are ended by the way. Replies with the time,
-- whether the node was known, and who has not given a sign for too long. One that is not known is so only by the first
-- sign of a session: at any other it is about to end its session, and nothing may be sent to it there.
local node, isFirst = unpack(ARGV)
local time = now()
local known = isAlive(node)
if known or isFirst == '1' then redis.call('ZADD', NODES_KEY, time, node) end
for _, held in ipairs(redis.call('ZRANGE', HELD_KEY, '-inf', time, 'BYSCORE', 'LIMIT', 0, REAPED_AT_ONCE)) do
  local room, id = readEntry(held)
  local ids = IDS_PREFIX .. room .. '}'
  local record = read(ids, id)
  if record and record.n == '' then remove(ids, room, id, record) else redis.call('ZREM', HELD_KEY, held) end
end
local dead = redis.call('ZRANGE', NODES_KEY, '-inf', time - NODE_LIFETIME_MS, 'BYSCORE')
return { time, known and 1 or 0, dead }
