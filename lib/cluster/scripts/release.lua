-- Ends a registration, if it is still this one; where it may be resumed, Redis holds the ID for a time.
local room, id, node, claim, ttl = unpack(ARGV)
local record = read(KEYS[1], id)
if isMine(record, node, claim) then retire(KEYS[1], room, id, record, ttl) end
