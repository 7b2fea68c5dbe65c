-- Answers with the members of a room.
local node, requestId = unpack(ARGV)
local members = redis.call('HKEYS', KEYS[1])
if #members == 0 then members = nil end
toNode(node, { k = 'answer', q = tonumber(requestId), s = 'ok', e = members })
