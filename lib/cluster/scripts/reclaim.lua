-- Restores a registration that Redis may have lost. Answers `ok` with its epoch and the stored messages, or `lost` if there
-- is a newer one on another node. If the ID is held, its node returns these messages at once, in order with those that it
-- has received since.
local room, id, node, epoch, time, secret, held, requestId, deadline = unpack(ARGV)
if now() > tonumber(deadline) then return 'late' end
time = tonumber(time)
local old = read(KEYS[1], id)
local isOthers = old and old.n ~= node
if isOthers and (old.t > time or (old.t == time and old.n > node)) then
  return toNode(node, { k = 'answer', q = tonumber(requestId), s = 'lost' })
end
if not isMine(old, node, epoch) then epoch = count() end
epoch = tonumber(epoch)
give(KEYS[1], room, id, { n = node, c = epoch, t = time, s = secret, h = tonumber(held) }, old)
toNode(node, { k = 'answer', q = tonumber(requestId), s = 'ok', c = epoch, w = fetch(KEYS[2], KEYS[3], true) })
