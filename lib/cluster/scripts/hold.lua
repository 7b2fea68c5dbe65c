-- Marks an ID as held for a resume, if the registration has this epoch.
local id, node, epoch = unpack(ARGV)
local record = read(KEYS[1], id)
if not isMine(record, node, epoch) then return end
record.h = 1
redis.call('HSET', KEYS[1], id, cjson.encode(record))
