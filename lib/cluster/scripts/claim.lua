-- Claims an ID for a new connection of a node. Answers `taken` or `held`; or `ok` or `resumed`, with the epoch, the time of
-- the claim, the stored messages and, if the node wants them, the members of the room.
local room, id, node, rule, owns, given, fresh, wantsMembers, requestId, deadline = unpack(ARGV)
local time = now()
if time > tonumber(deadline) then return 'late' end
local old = read(KEYS[1], id)
local resumed = old and old.s ~= '' and old.s == given
local taken = false
if old and not resumed then
  if old.s ~= '' then taken = owns == '0' else taken = rule == 'reject' end
  if taken and not isHoldable(old) then taken = isAlive(old.n) end
end
if taken then
  local isHeld = old.h == 1 or not isAlive(old.n)
  return toNode(node, { k = 'answer', q = tonumber(requestId), s = isHeld and 'held' or 'taken' })
end
local epoch = count()
give(KEYS[1], room, id, { n = node, c = epoch, t = time, s = resumed and old.s or fresh, h = 0 }, old)
if old and not resumed then
  toRoom(room, 'leave', id)
  toRoom(room, 'join', id)
end
local members = wantsMembers == '1' and redis.call('HKEYS', KEYS[1]) or nil
local status, mail = resumed and 'resumed' or 'ok', fetch(KEYS[2], KEYS[3], resumed)
toNode(node, { k = 'answer', q = tonumber(requestId), s = status, c = epoch, t = time, e = members, w = mail })
