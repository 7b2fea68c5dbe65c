-- Notes that an ID is held for its resume, if the registration is still this one.
local id, node, claim = unpack(ARGV)
local record = read(KEYS[1], id)
if not isMine(record, node, claim) then return end
record.h = 1
redis.call('HSET', KEYS[1], id, cjson.encode(record))
