-- Sends a message to the node of its target, or stores it. Replies `sent`, `stored`, `full`, `off` if it did neither, or
-- `late`. A message that a node returns, as its target had disconnected, must not follow messages that were sent later. So
-- it is stored only if no connection has claimed the ID since, and goes before all others.
local room, id, text, messageId, bytes, node, sender, ttl, maxMessages, maxBytes, returnedBy, epoch, deadline, together = unpack(ARGV)
local time = now()
if time > tonumber(deadline) then return 'late' end
local isNotice, isReturned = node == '', returnedBy ~= ''
local target = read(KEYS[1], id)
if isReturned and not isNotice and target and target.n ~= '' and target.c ~= tonumber(epoch) then return 'off' end
if target and target.h == 0 and target.n ~= returnedBy and isAlive(target.n) then
  if publish(target.n, text) > 0 then return 'sent' end
end
if ttl == '0' or (isNotice and not target) then return 'off' end
local function isFull()
  return redis.call('HLEN', KEYS[2]) >= tonumber(maxMessages)
    or tonumber(redis.call('GET', KEYS[3]) or 0) + bytes > tonumber(maxBytes)
end
if isFull() then
  dropOld(KEYS[2], KEYS[3])
  if isFull() then return 'full' end
end
local stored = table.concat({ isReturned and 0 or 1, count(), time + ttl, bytes, node, text }, ' ')
redis.call('HSET', KEYS[2], messageId, stored)
redis.call('INCRBY', KEYS[3], bytes)
local lifetime = math.max(ttl + MAIL_GRACE_MS, redis.call('PTTL', KEYS[2]))
redis.call('PEXPIRE', KEYS[2], lifetime)
redis.call('PEXPIRE', KEYS[3], lifetime)
if isReturned and not isNotice then
  toNode(node, {
    k = 'returned', m = messageId, r = room, id = id, f = sender, b = tonumber(bytes), t = tonumber(ttl), e = together == '1',
  })
end
return 'stored'
