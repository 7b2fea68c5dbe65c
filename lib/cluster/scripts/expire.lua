-- Takes back a kept message for which nobody came.
local messageId, bytes = unpack(ARGV)
if redis.call('HDEL', KEYS[1], messageId) == 1 then redis.call('DECRBY', KEYS[2], bytes) end
