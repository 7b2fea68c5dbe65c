-- Sends a broadcast, with its number in front, to the nodes of a room. Replies `sent` or `late`.
local channel, text, deadline = unpack(ARGV)
if now() > tonumber(deadline) then return 'late' end
redis.call('PUBLISH', channel, count() .. ' ' .. text)
return 'sent'
