-- Responds with some of the records of a room, and the cursor of the next ones; 0 after the last ones.
local node, cursor, requestId = unpack(ARGV)
local reply = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', MEMBERS_AT_ONCE)
respond(node, requestId, { s = 'ok', e = #reply[2] > 0 and reply[2] or nil, x = reply[1] })
