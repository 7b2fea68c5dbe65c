-- Gives an ID to a node's new connection. Answers `ok`, `resumed`, `taken` or `held`, with the number and the time of the
-- claim, what was stored, and, where wanted, the members of the room.
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
local claim = count()
give(KEYS[1], room, id, { n = node, c = claim, t = time, s = resumed and old.s or fresh, h = 0 }, old)
if old and not resumed then
  toRoom(room, 'leave', id)
  toRoom(room, 'join', id)
end
local members = wantsMembers == '1' and redis.call('HKEYS', KEYS[1]) or nil
local status, mail = resumed and 'resumed' or 'ok', fetch(KEYS[2], KEYS[3], resumed)
toNode(node, { k = 'answer', q = tonumber(requestId), s = status, c = claim, t = time, e = members, w = mail })
