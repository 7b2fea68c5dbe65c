-- Makes a registration known again that Redis may have lost. Answers `ok` with the number of its claim and what was
-- stored, or `lost` where there is a newer one on another node. Where it is held, what was stored comes back from its node at
-- once, in line with what that node has got for it since.
local room, id, node, claim, time, secret, held, requestId, deadline = unpack(ARGV)
if now() > tonumber(deadline) then return 'late' end
time = tonumber(time)
local old = read(KEYS[1], id)
local isOthers = old and old.n ~= node
if isOthers and (old.t > time or (old.t == time and old.n > node)) then
  return toNode(node, { k = 'answer', q = tonumber(requestId), s = 'lost' })
end
if not isMine(old, node, claim) then claim = count() end
claim = tonumber(claim)
give(KEYS[1], room, id, { n = node, c = claim, t = time, s = secret, h = tonumber(held) }, old)
toNode(node, { k = 'answer', q = tonumber(requestId), s = 'ok', c = claim, w = fetch(KEYS[2], KEYS[3], true) })
