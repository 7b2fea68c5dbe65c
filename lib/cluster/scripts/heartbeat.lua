-- Stores a node's heartbeat. Replies with the time and whether the node was alive; or with `refused` if other nodes were
-- started with another list of Redis servers. Only the first heartbeat of a session revives a node: at a later one, a dead node
-- is about to end its session.
local node, isFirst, list = unpack(ARGV)
local time = now()
local known = isAlive(node)
if isFirst == '1' and redis.call('GET', LIST_KEY) ~= list then
  local living = redis.call('ZCOUNT', NODES_KEY, time - NODE_LIFETIME_MS, '+inf')
  if living > (known and 1 or 0) then return 'refused' end
  redis.call('SET', LIST_KEY, list)
end
if known or isFirst == '1' then redis.call('ZADD', NODES_KEY, time, node) end
return { time, known and 1 or 0 }
