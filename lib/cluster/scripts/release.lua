-- Ends a registration, if it has this epoch. If it may be resumed, Redis holds the ID for `ttl` ms.
local room, id, node, epoch, ttl = unpack(ARGV)
local record = read(KEYS[1], id)
if isMine(record, node, epoch) then retire(KEYS[1], room, id, record, ttl) end
