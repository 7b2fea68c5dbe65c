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

-- Returns the next epoch. An empty Redis starts with its time (µs), so that no epoch is assigned twice.
local function nextEpoch()
  local epoch = redis.call('INCR', COUNT_KEY)
  if epoch > 1 then return epoch end
  epoch = now() * 1000
  redis.call('SET', COUNT_KEY, string.format('%.0f', epoch))
  return epoch
end

local function isAlive(node)
  local heartbeat = redis.call('ZSCORE', NODES_KEY, node)
  return heartbeat and tonumber(heartbeat) > now() - NODE_LIFETIME_MS
end

local function respond(node, requestId, message)
  message.v, message.k, message.q = VERSION, 'response', tonumber(requestId)
  redis.call('PUBLISH', NODE_CHANNEL_PREFIX .. node, cjson.encode(message))
end

local function publishChange(room, kind, id, record)
  local message = cjson.encode({ v = VERSION, k = kind, id = id, n = record.n, c = string.format('%.0f', record.c) })
  redis.call('PUBLISH', ROOM_CHANNEL_PREFIX .. room .. '}', message)
end

local function publishEnd(node, kind)
  redis.call('PUBLISH', NODES_KEY, cjson.encode({ v = VERSION, k = kind, n = node }))
end

local function read(ids, id)
  local text = redis.call('HGET', ids, id)
  if not text then return nil end
  local node, epoch, time, held, secret = string.match(text, '^(%S*) (%d+) (%d+) (%d+) (.*)$')
  return { n = node, c = tonumber(epoch), t = tonumber(time), h = tonumber(held), s = secret }
end

local function write(ids, id, record)
  local text = string.format('%s %.0f %.0f %.0f %s', record.n, record.c, record.t, record.h, record.s)
  redis.call('HSET', ids, id, text)
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

-- Ends a registration.
local function remove(ids, room, id, record)
  redis.call('HDEL', ids, id)
  disown(room, id, record)
  publishChange(room, 'left', id, record)
end

-- Assigns an ID to a node, and takes it from the previous one, if any.
local function give(ids, room, id, record, old, isSame)
  if old then disown(room, id, old) end
  write(ids, id, record)
  redis.call('SADD', CLIENTS_PREFIX .. record.n, entry(room, id))
  publishChange(room, isSame and 'resumed' or 'joined', id, record)
end

-- Returns whether an ID is held when its connection is lost.
local function isHoldable(record)
  return record.s ~= '' and string.sub(record.s, 1, 1) ~= '='
end

-- Ends a registration. If it may be resumed, Redis holds the ID for `ttl` ms.
local function retire(ids, room, id, record, ttl)
  if not isHoldable(record) or tonumber(ttl) == 0 then return remove(ids, room, id, record) end
  disown(room, id, record)
  record.n, record.h = '', now() + ttl
  write(ids, id, record)
  redis.call('ZADD', HELD_KEY, record.h, entry(room, id))
  publishChange(room, 'held', id, record)
end

local function isMine(record, node, epoch)
  return record and record.n == node and record.c == tonumber(epoch)
end
