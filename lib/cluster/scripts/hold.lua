-- Marks an ID as held for a resume by its node, if the registration has this epoch.
local room, id, node, epoch = unpack(ARGV)
local record = read(KEYS[1], id)
if not isMine(record, node, epoch) then return end
record.h = 1
write(KEYS[1], id, record)
publishChange(room, 'held', id, record)
