-- Ends a node's registration of an ID, if there is one.
local room, id, node = unpack(ARGV)
local record = read(KEYS[1], id)
if record and record.n == node then return remove(KEYS[1], room, id, record) end
disown(room, id, { n = node })
