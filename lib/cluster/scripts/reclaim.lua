-- Restores a registration that Redis may have lost. Responds with `ok`, the room, the ID and the epoch; or, if another node has
-- a newer one, with `lost` and whether that has resumed the same session.
local room, id, node, epoch, time, secret, held, requestId, deadline = unpack(ARGV)
if now() > tonumber(deadline) then return 'late' end
epoch, time, held = tonumber(epoch), tonumber(time), tonumber(held)
local old = read(KEYS[1], id)
local isMoved = old and old.n ~= node
local isSame = old and secret ~= '' and old.s == secret or isMoved and old.t == time
if isMoved and (old.t > time or old.t == time and old.n > node) then
  return respond(node, requestId, { s = 'lost', m = isSame and true or false })
end
local record = { n = node, c = epoch, t = time, s = secret, h = held }
if isMine(old, node, epoch) then
  write(KEYS[1], id, record)
else
  epoch = nextEpoch() -- others may have sent broadcasts since, without knowing of this client
  record.c = epoch
  give(KEYS[1], room, id, record, old, isSame)
end
if held > 0 then publishChange(room, 'held', id, record) end
respond(node, requestId, { s = 'ok', r = room, id = id, c = string.format('%.0f', epoch) })
