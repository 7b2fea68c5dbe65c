-- Claims an ID for a new connection of a node. Responds with `taken` or `held`; or with `ok` or `resumed`, the room, the ID,
-- the epoch, the time of the claim and, if requested, the records of the room. Responds with `large`, without a claim, if these
-- are too many.
local room, id, node, rule, owns, given, fresh, wantsMembers, requestId, deadline = unpack(ARGV)
local time = now()
if time > tonumber(deadline) then return 'late' end
if wantsMembers == '1' and redis.call('HLEN', KEYS[1]) > MEMBERS_AT_ONCE then
  return respond(node, requestId, { s = 'large' })
end
local old = read(KEYS[1], id)
if old and old.n == '' and old.h <= time then
  remove(KEYS[1], room, id, old)
  old = nil
end
local isSame = old and old.s ~= '' and old.s == given
local isTaken = false
if old and not isSame then
  if old.s ~= '' then isTaken = owns == '0' else isTaken = rule == 'reject' end
  if isTaken and not isHoldable(old) then isTaken = isAlive(old.n) end
end
if isTaken then
  local isHeld = old.h > 0 or not isAlive(old.n)
  return respond(node, requestId, { s = isHeld and 'held' or 'taken' })
end
if old and not isSame then publishChange(room, 'left', id, old) end
local record = { n = node, c = nextEpoch(), t = time, s = isSame and old.s or fresh, h = 0 }
give(KEYS[1], room, id, record, old, isSame)
respond(node, requestId, {
  s = isSame and 'resumed' or 'ok',
  r = room,
  id = id,
  c = string.format('%.0f', record.c),
  t = time,
  e = wantsMembers == '1' and redis.call('HGETALL', KEYS[1]) or nil,
})
