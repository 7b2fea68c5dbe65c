-- Sends a broadcast to the nodes of a room, with a number before it. Replies `sent` or `late`.
local channel, text, deadline = unpack(ARGV)
if now() > tonumber(deadline) then return 'late' end
redis.call('PUBLISH', channel, count() .. ' ' .. text)
return 'sent'
