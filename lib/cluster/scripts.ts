/**
 * What Redis does in one step each. Everything that two nodes could do at the same time is decided here, by a script
 * that nothing can come between.
 *
 * Keys: `signalbox:{room}:ids` hash of client ID to record · `signalbox:{room}:mail:<id>` hash of message ID to kept
 * message, and `…:bytes:<id>` its size · `signalbox:nodes` sorted set of node to time of its last heartbeat ·
 * `signalbox:node:<node>:clients` set of what a node has registered · `signalbox:seq` numbers claims and events.
 *
 * A record is JSON: `n` node, `c` claim number, `t` when it was claimed (ms), `s` hash of the resume secret or "",
 * `h` 1 while the ID is held for a resume.
 */

/** A node that was not heard of for so long is gone, and so are its clients. */
export const NODE_LIFETIME_MS = 9000;
/** Kept messages stay a little longer than their senders wait, so that it is the sender's node that ends them. */
const MAIL_GRACE_MS = 10_000;

const COMMON = `
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function isAlive(node)
  local heard = redis.call('ZSCORE', 'signalbox:nodes', node)
  return heard and tonumber(heard) > now() - ${NODE_LIFETIME_MS}
end

local function number()
  return redis.call('INCR', 'signalbox:seq')
end

local function read(ids, id)
  local record = redis.call('HGET', ids, id)
  return record and cjson.decode(record)
end

local function clientsOf(node)
  return 'signalbox:node:' .. node .. ':clients'
end

local function write(ids, room, id, record, old)
  redis.call('HSET', ids, id, cjson.encode(record))
  if old and old.n ~= record.n then redis.call('SREM', clientsOf(old.n), room .. '\\0' .. id) end
  redis.call('SADD', clientsOf(record.n), room .. '\\0' .. id)
end

local function toNode(node, message)
  message.v = 1
  return redis.call('PUBLISH', 'signalbox:node:' .. node, cjson.encode(message))
end

local function toRoom(room, message)
  message.v = 1
  message.q = message.q or number()
  redis.call('PUBLISH', 'signalbox:{' .. room .. '}:events', cjson.encode(message))
end

local function remove(ids, room, id, node)
  redis.call('HDEL', ids, id)
  redis.call('SREM', clientsOf(node), room .. '\\0' .. id)
  toRoom(room, { k = 'leave', id = id })
end

local function isMine(record, node, claim)
  return record and record.n == node and record.c == tonumber(claim)
end
`;

/** A script: how many of its arguments are keys, and its text. */
export interface Script {
  readonly keys: number;
  readonly text: string;
}

function script(keys: number, text: string): Script {
  return { keys, text: COMMON + text };
}

export const SCRIPTS = {
  /** A sign of life. Answers the time, whether the node was known, and who has not given one for too long. */
  heartbeat: script(
    1,
    `
local node = ARGV[1]
local time = now()
local known = isAlive(node)
redis.call('ZADD', KEYS[1], time, node)
return { time, known and 1 or 0, redis.call('ZRANGE', KEYS[1], '-inf', time - ${NODE_LIFETIME_MS}, 'BYSCORE') }
`,
  ),

  /** Gives an ID to a node's new connection: `taken`, `late`, or `ok` with claim number, time, whether resumed, mail, members. */
  claim: script(
    3,
    `
local room, id, node, rule, owns, given, fresh, wantsMembers, notAfter = unpack(ARGV)
local time = now()
if time > tonumber(notAfter) then return { 'late' } end
local old = read(KEYS[1], id)
local resumed = old and old.s ~= '' and old.s == given
if old and not resumed then
  if old.s ~= '' then
    if owns == '0' then return { 'taken' } end
  elseif rule == 'reject' and isAlive(old.n) then
    return { 'taken' }
  end
end
local claim = number()
local secret = resumed and old.s or fresh
write(KEYS[1], room, id, { n = node, c = claim, t = time, s = secret, h = 0 }, old)
if old and old.n ~= node then toNode(old.n, { k = 'replaced', r = room, id = id, c = old.c }) end
toRoom(room, { k = old and 'move' or 'join', id = id, q = claim })
local mail = redis.call('HVALS', KEYS[2])
redis.call('DEL', KEYS[2], KEYS[3])
local members = wantsMembers == '1' and redis.call('HKEYS', KEYS[1]) or {}
return { 'ok', claim, time, resumed and 1 or 0, mail, members }
`,
  ),

  /** Makes a registration known again that Redis may have lost: `ok` and its claim number, or `lost` to a newer one. */
  reclaim: script(
    1,
    `
local room, id, node, claim, time, secret, held = unpack(ARGV)
local old = read(KEYS[1], id)
if isMine(old, node, claim) then return { 'ok', old.c } end
time = tonumber(time)
if old and (old.t > time or (old.t == time and old.n > node)) then return { 'lost' } end
local fresh = number()
write(KEYS[1], room, id, { n = node, c = fresh, t = time, s = secret, h = tonumber(held) }, old)
if old and old.n ~= node then toNode(old.n, { k = 'replaced', r = room, id = id, c = old.c }) end
toRoom(room, { k = old and 'move' or 'join', id = id, q = fresh })
return { 'ok', fresh }
`,
  ),

  /** Ends a registration, if it is still this one. */
  release: script(
    1,
    `
local room, id, node, claim = unpack(ARGV)
if isMine(read(KEYS[1], id), node, claim) then remove(KEYS[1], room, id, node) end
`,
  ),

  /** Holds an ID for its resume, if the registration is still this one. */
  hold: script(
    1,
    `
local room, id, node, claim = unpack(ARGV)
local record = read(KEYS[1], id)
if not isMine(record, node, claim) then return end
record.h = 1
redis.call('HSET', KEYS[1], id, cjson.encode(record))
`,
  ),

  /** What a node has registered. */
  owned: script(
    0,
    `
return redis.call('SMEMBERS', clientsOf(ARGV[1]))
`,
  ),

  /** Ends whatever registration of this ID a node has. */
  forget: script(
    1,
    `
local room, id, node = unpack(ARGV)
local record = read(KEYS[1], id)
if record and record.n == node then return remove(KEYS[1], room, id, node) end
redis.call('SREM', clientsOf(node), room .. '\\0' .. id)
`,
  ),

  /** A node leaves: it is as if it had not been heard of for long. */
  leave: script(
    1,
    `
redis.call('ZADD', KEYS[1], 0, ARGV[1])
`,
  ),

  /** The members of a room, and the number of the last event before. */
  members: script(
    1,
    `
return { number(), redis.call('HKEYS', KEYS[1]) }
`,
  ),

  /** Sends a message to the node of its target, or keeps it: `sent`, `kept`, `full`, `off`, `late`. */
  send: script(
    3,
    `
local id, message, messageId, bytes, ttl, maxMessages, maxBytes, onlyHeld, notAfter = unpack(ARGV)
if now() > tonumber(notAfter) then return 'late' end
local target = read(KEYS[1], id)
if target and target.h == 0 and isAlive(target.n) then
  if redis.call('PUBLISH', 'signalbox:node:' .. target.n, message) > 0 then return 'sent' end
end
if ttl == '0' or (onlyHeld == '1' and not target) then return 'off' end
if redis.call('HLEN', KEYS[2]) >= tonumber(maxMessages) then return 'full' end
local size = tonumber(redis.call('GET', KEYS[3]) or 0) + tonumber(bytes)
if size > tonumber(maxBytes) then return 'full' end
redis.call('HSET', KEYS[2], messageId, number() .. ' ' .. message)
redis.call('SET', KEYS[3], size)
redis.call('PEXPIRE', KEYS[2], ttl + ${MAIL_GRACE_MS})
redis.call('PEXPIRE', KEYS[3], ttl + ${MAIL_GRACE_MS})
return 'kept'
`,
  ),

  /** Sends a broadcast to the nodes of a room: `sent` or `late`. */
  broadcast: script(
    0,
    `
local channel, message, notAfter = unpack(ARGV)
if now() > tonumber(notAfter) then return 'late' end
redis.call('PUBLISH', channel, message)
return 'sent'
`,
  ),

  /** Takes back a kept message for which nobody came: 1, or 0 where somebody did. */
  expire: script(
    2,
    `
local messageId, bytes = unpack(ARGV)
if redis.call('HDEL', KEYS[1], messageId) == 0 then return 0 end
redis.call('DECRBY', KEYS[2], bytes)
return 1
`,
  ),

  /** The clients of a node that is gone, for the one node that is to clear them away; nobody else gets any. */
  reap: script(
    0,
    `
local dead, node = unpack(ARGV)
if isAlive(dead) then return {} end
if not redis.call('SET', 'signalbox:reaper:' .. dead, node, 'NX', 'PX', 5000) then return {} end
local clients = redis.call('SMEMBERS', clientsOf(dead))
if #clients == 0 then redis.call('ZREM', 'signalbox:nodes', dead) end
return clients
`,
  ),

  /** Clears away one client of a node that is gone: `left`, or `adopted` by this node, which then holds its ID. */
  bury: script(
    1,
    `
local room, id, dead, node = unpack(ARGV)
local record = read(KEYS[1], id)
if not record or record.n ~= dead then
  redis.call('SREM', clientsOf(dead), room .. '\\0' .. id)
  return { 'gone' }
end
if isAlive(dead) then return { 'gone' } end
if record.s == '' then
  remove(KEYS[1], room, id, dead)
  return { 'left' }
end
local adopted = { n = node, c = number(), t = record.t, s = record.s, h = 1 }
write(KEYS[1], room, id, adopted, record)
return { 'adopted', adopted.c, adopted.t, adopted.s }
`,
  ),
} as const satisfies Record<string, Script>;

export type ScriptName = keyof typeof SCRIPTS;
