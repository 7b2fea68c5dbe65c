-- Functions that scripts share. A script gets those that it uses; each follows the functions that it uses itself.

-- Returns the time (ms), the same one throughout a script.
local readTime
local function now()
  if not readTime then
    local seconds, micros = unpack(redis.call('TIME'))
    readTime = seconds * 1000 + math.floor(micros / 1000)
  end
  return readTime
end

local function count()
  return redis.call('INCR', COUNT_KEY)
end

local function isAlive(node)
  local heartbeat = redis.call('ZSCORE', NODES_KEY, node)
  return heartbeat and tonumber(heartbeat) > now() - NODE_LIFETIME_MS
end

local function publish(node, text)
  return redis.call('PUBLISH', NODE_CHANNEL_PREFIX .. node, text)
end

local function toNode(node, message)
  message.v = VERSION
  publish(node, cjson.encode(message))
end

local function toRoom(room, kind, id)
  local message = cjson.encode({ v = VERSION, k = kind, id = id })
  redis.call('PUBLISH', ROOM_CHANNEL_PREFIX .. room .. '}', message)
end

local function read(ids, id)
  local record = redis.call('HGET', ids, id)
  return record and cjson.decode(record)
end

local function entry(room, id)
  return room .. '\0' .. id
end

local function readEntry(entry)
  local zero = string.find(entry, '\0', 1, true)
  return string.sub(entry, 1, zero - 1), string.sub(entry, zero + 1)
end

local function disown(room, id, record)
  if record.n == '' then
    redis.call('ZREM', HELD_KEY, entry(room, id))
  else
    redis.call('SREM', CLIENTS_PREFIX .. record.n, entry(room, id))
  end
end

-- Assigns an ID to a node, and takes it from the previous one, if any.
local function give(ids, room, id, record, old)
  if old then disown(room, id, old) end
  redis.call('HSET', ids, id, cjson.encode(record))
  redis.call('SADD', CLIENTS_PREFIX .. record.n, entry(room, id))
  if old and old.n ~= record.n then toNode(old.n, { k = 'replaced', r = room, id = id, c = old.c }) end
  if not old then toRoom(room, 'join', id) end
end

local function remove(ids, room, id, record)
  redis.call('HDEL', ids, id)
  disown(room, id, record)
  toRoom(room, 'leave', id)
end

-- Returns whether an ID is held when its connection is lost.
local function isHoldable(record)
  return record.s ~= '' and string.sub(record.s, 1, 1) ~= '='
end

-- Ends a registration. If it may be resumed, Redis holds the ID for `ttl` ms.
local function retire(ids, room, id, record, ttl)
  if not isHoldable(record) or tonumber(ttl) == 0 then return remove(ids, room, id, record) end
  disown(room, id, record)
  record.n, record.h = '', 1
  redis.call('HSET', ids, id, cjson.encode(record))
  redis.call('ZADD', HELD_KEY, now() + ttl, entry(room, id))
end

local function isMine(record, node, epoch)
  return record and record.n == node and record.c == tonumber(epoch)
end

-- Parses a stored message: its rank, its number, its expiry time (ms), its bytes, its sender's node, its text. A message that
-- a node returned, as its target disconnected, has rank 0: it was sent before all others. A notice has no sender's node.
local function readStored(stored)
  local rank, number, expiry, bytes, node, text =
    string.match(stored, '^(%d) (%d+) (%d+) (%d+) (%S*) (.*)$')
  return {
    rank = rank, number = tonumber(number), expiry = tonumber(expiry), bytes = bytes, node = node, text = text,
  }
end

local function isEarlier(a, b)
  if a.rank ~= b.rank then return a.rank < b.rank end
  return a.number < b.number
end

-- Takes out the messages that are stored for an ID, in order and each with its number in front, and notifies the senders'
-- nodes; nil if there are none. Notices are for a resumed session alone.
local function fetch(mail, size, isSame)
  local stored = redis.call('HGETALL', mail)
  if #stored == 0 then return nil end
  redis.call('DEL', mail, size)
  local time, messages, texts = now(), {}, {}
  for i = 1, #stored, 2 do
    local message = readStored(stored[i + 1])
    message.id = stored[i]
    if message.expiry > time and (isSame or message.node ~= '') then table.insert(messages, message) end
  end
  table.sort(messages, isEarlier)
  for i, message in ipairs(messages) do
    if message.node ~= '' then toNode(message.node, { k = 'fetched', m = message.id }) end
    texts[i] = (message.rank == '0' and 0 or message.number) .. ' ' .. message.text
  end
  return #texts > 0 and texts or nil
end

-- Drops expired messages that no node has taken back.
local function dropOld(mail, size)
  local stored, time = redis.call('HGETALL', mail), now()
  for i = 1, #stored, 2 do
    local message = readStored(stored[i + 1])
    if message.expiry <= time then
      redis.call('HDEL', mail, stored[i])
      redis.call('DECRBY', size, message.bytes)
    end
  end
end
