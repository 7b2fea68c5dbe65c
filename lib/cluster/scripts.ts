/**
 * What Redis does in one step each. Everything that two nodes could do at the same time is decided here, by a script
 * that nothing can come between. What a node must learn in the order in which it was decided is not replied but
 * published on the node's own channel, where the messages for its clients come, too.
 *
 * A record is what is known of a client ID, as JSON: `n` its node, or "" where Redis itself holds it for a resume; `c`
 * the number of its claim; `t` when it was claimed (ms); `s` the hash of its resume secret, or ""; `h` 1 while it is held.
 */

import {
  CLIENTS_PREFIX,
  COUNT_KEY,
  HELD_KEY,
  IDS_PREFIX,
  NODE_CHANNEL_PREFIX,
  NODES_KEY,
  ROOM_CHANNEL_PREFIX,
} from "./keys.ts";
import { VERSION } from "./messages.ts";

/** A node that was not heard of for so long is gone, and so are its clients. */
export const NODE_LIFETIME_MS = 9000;
/** Kept messages are there a little longer than they count, so that it is their sender's node that ends them. */
const MAIL_GRACE_MS = 10_000;
/** So many clients of a node that is gone are cleared away at a time: a script holds everybody else up. */
const REAPED_AT_ONCE = 200;

/** What scripts have in common, each after those that it uses. */
const FUNCTIONS = [
  `
-- The time (ms): in a script it stands still.
local readTime
local function now()
  if not readTime then
    local seconds, micros = unpack(redis.call('TIME'))
    readTime = seconds * 1000 + math.floor(micros / 1000)
  end
  return readTime
end
`,
  `
local function count()
  return redis.call('INCR', '${COUNT_KEY}')
end
`,
  `
local function isAlive(node)
  local heard = redis.call('ZSCORE', '${NODES_KEY}', node)
  return heard and tonumber(heard) > now() - ${NODE_LIFETIME_MS}
end
`,
  `
local function publish(node, text)
  return redis.call('PUBLISH', '${NODE_CHANNEL_PREFIX}' .. node, text)
end
`,
  `
local function toNode(node, message)
  message.v = ${VERSION}
  publish(node, cjson.encode(message))
end
`,
  `
local function toRoom(room, kind, id)
  local message = cjson.encode({ v = ${VERSION}, k = kind, id = id })
  redis.call('PUBLISH', '${ROOM_CHANNEL_PREFIX}' .. room .. '}', message)
end
`,
  `
local function read(ids, id)
  local record = redis.call('HGET', ids, id)
  return record and cjson.decode(record)
end
`,
  `
local function entry(room, id)
  return room .. '\\0' .. id
end
`,
  `
local function readEntry(entry)
  local zero = string.find(entry, '\\0', 1, true)
  return string.sub(entry, 1, zero - 1), string.sub(entry, zero + 1)
end
`,
  `
local function disown(room, id, record)
  if record.n == '' then
    redis.call('ZREM', '${HELD_KEY}', entry(room, id))
  else
    redis.call('SREM', '${CLIENTS_PREFIX}' .. record.n, entry(room, id))
  end
end
`,
  `
-- Gives an ID to a node, whoever had it before.
local function give(ids, room, id, record, old)
  if old then disown(room, id, old) end
  redis.call('HSET', ids, id, cjson.encode(record))
  redis.call('SADD', '${CLIENTS_PREFIX}' .. record.n, entry(room, id))
  if old and old.n ~= record.n then toNode(old.n, { k = 'replaced', r = room, id = id, c = old.c }) end
  if not old then toRoom(room, 'join', id) end
end
`,
  `
local function remove(ids, room, id, record)
  redis.call('HDEL', ids, id)
  disown(room, id, record)
  toRoom(room, 'leave', id)
end
`,
  `
-- Ends a registration; where it may be resumed, Redis holds the ID for \`ttl\` ms.
local function retire(ids, room, id, record, ttl)
  if record.s == '' or tonumber(ttl) == 0 then return remove(ids, room, id, record) end
  disown(room, id, record)
  record.n, record.h = '', 1
  redis.call('HSET', ids, id, cjson.encode(record))
  redis.call('ZADD', '${HELD_KEY}', now() + ttl, entry(room, id))
end
`,
  `
local function isMine(record, node, claim)
  return record and record.n == node and record.c == tonumber(claim)
end
`,
  `
-- A kept message is stored as its rank, its number, when its time is up (ms), its bytes, its sender's node, its text.
-- What comes back from a node that has just lost the target has rank 0: it was sent before all that is kept. What the
-- server itself has to say to somebody has no sender's node.
local function readKept(kept)
  local rank, number, due, bytes, node, text =
    string.match(kept, '^(%d) (%d+) (%d+) (%d+) (%S*) (.*)$')
  return {
    rank = rank, number = tonumber(number), due = tonumber(due), bytes = bytes, node = node, text = text,
  }
end
`,
  `
local function isEarlier(a, b)
  if a.rank ~= b.rank then return a.rank < b.rank end
  return a.number < b.number
end
`,
  `
-- Takes out what is kept for an ID, in order and each with its number before it, and tells the senders' nodes. Nil where
-- there is nothing. What the server has to say is for the one who had the ID then.
local function fetch(mail, size, isSame)
  local kept = redis.call('HGETALL', mail)
  if #kept == 0 then return nil end
  redis.call('DEL', mail, size)
  local time, messages, texts = now(), {}, {}
  for i = 1, #kept, 2 do
    local message = readKept(kept[i + 1])
    message.id = kept[i]
    if message.due > time and (isSame or message.node ~= '') then table.insert(messages, message) end
  end
  table.sort(messages, isEarlier)
  for i, message in ipairs(messages) do
    if message.node ~= '' then toNode(message.node, { k = 'fetched', m = message.id }) end
    texts[i] = (message.rank == '0' and 0 or message.number) .. ' ' .. message.text
  end
  return #texts > 0 and texts or nil
end
`,
  `
-- Drops kept messages whose time is up, and which no node has taken back.
local function dropOld(mail, size)
  local kept, time = redis.call('HGETALL', mail), now()
  for i = 1, #kept, 2 do
    local message = readKept(kept[i + 1])
    if message.due <= time then
      redis.call('HDEL', mail, kept[i])
      redis.call('DECRBY', size, message.bytes)
    end
  end
end
`,
];

/** A script: how many of its arguments are keys, and its text. */
export interface Script {
  readonly keys: number;
  readonly text: string;
}

function script(keys: number, text: string): Script {
  return { keys, text: withFunctions(text) };
}

/** A script with the functions that it uses, and no others: each costs time whenever the script runs. */
function withFunctions(text: string): string {
  let whole = text;
  for (const definition of FUNCTIONS.toReversed()) {
    const [, name] = /^local function (\w+)/m.exec(definition)!;
    if (new RegExp(`\\b${name}\\b`).test(whole)) whole = definition + whole;
  }
  return whole;
}

export const SCRIPTS = {
  /**
   * A sign of life; those of the IDs that Redis holds whose time is up are ended by the way. Replies with the time,
   * whether the node was known, and who has not given a sign for too long. One that is not known is so only by the first
   * sign of a session: at any other it is about to end its session, and nothing may be sent to it there.
   */
  heartbeat: script(
    0,
    `
local node, isFirst = unpack(ARGV)
local time = now()
local known = isAlive(node)
if known or isFirst == '1' then redis.call('ZADD', '${NODES_KEY}', time, node) end
for _, held in ipairs(redis.call('ZRANGE', '${HELD_KEY}', '-inf', time, 'BYSCORE', 'LIMIT', 0, ${REAPED_AT_ONCE})) do
  local room, id = readEntry(held)
  local ids = '${IDS_PREFIX}' .. room .. '}'
  local record = read(ids, id)
  if record and record.n == '' then remove(ids, room, id, record) else redis.call('ZREM', '${HELD_KEY}', held) end
end
local dead = redis.call('ZRANGE', '${NODES_KEY}', '-inf', time - ${NODE_LIFETIME_MS}, 'BYSCORE')
return { time, known and 1 or 0, dead }
`,
  ),

  /**
   * Gives an ID to a node's new connection. Answers `ok`, `resumed`, `taken` or `held`, with the number and the time of the
   * claim, what was kept, and, where wanted, the members of the room.
   */
  claim: script(
    3,
    `
local room, id, node, rule, owns, given, fresh, wantsMembers, question, notAfter = unpack(ARGV)
local time = now()
if time > tonumber(notAfter) then return 'late' end
local old = read(KEYS[1], id)
local resumed = old and old.s ~= '' and old.s == given
local taken = false
if old and not resumed then
  if old.s ~= '' then taken = owns == '0' else taken = rule == 'reject' and isAlive(old.n) end
end
if taken then
  local isHeld = old.h == 1 or not isAlive(old.n)
  return toNode(node, { k = 'answer', q = tonumber(question), s = isHeld and 'held' or 'taken' })
end
local claim = count()
give(KEYS[1], room, id, { n = node, c = claim, t = time, s = resumed and old.s or fresh, h = 0 }, old)
if old and not resumed then
  toRoom(room, 'leave', id)
  toRoom(room, 'join', id)
end
local members = wantsMembers == '1' and redis.call('HKEYS', KEYS[1]) or nil
local status, mail = resumed and 'resumed' or 'ok', fetch(KEYS[2], KEYS[3], resumed)
toNode(node, { k = 'answer', q = tonumber(question), s = status, c = claim, t = time, e = members, w = mail })
`,
  ),

  /**
   * Makes a registration known again that Redis may have lost. Answers `ok` with the number of its claim and what was
   * kept, or `lost` where there is a newer one on another node. Where it is held, what was kept comes back from its node at
   * once, in line with what that node has got for it since.
   */
  reclaim: script(
    3,
    `
local room, id, node, claim, time, secret, held, question, notAfter = unpack(ARGV)
if now() > tonumber(notAfter) then return 'late' end
time = tonumber(time)
local old = read(KEYS[1], id)
local isOthers = old and old.n ~= node
if isOthers and (old.t > time or (old.t == time and old.n > node)) then
  return toNode(node, { k = 'answer', q = tonumber(question), s = 'lost' })
end
if not isMine(old, node, claim) then claim = count() end
claim = tonumber(claim)
give(KEYS[1], room, id, { n = node, c = claim, t = time, s = secret, h = tonumber(held) }, old)
toNode(node, { k = 'answer', q = tonumber(question), s = 'ok', c = claim, w = fetch(KEYS[2], KEYS[3], true) })
`,
  ),

  /** Ends a registration, if it is still this one; where it may be resumed, Redis holds the ID for a time. */
  release: script(
    1,
    `
local room, id, node, claim, ttl = unpack(ARGV)
local record = read(KEYS[1], id)
if isMine(record, node, claim) then retire(KEYS[1], room, id, record, ttl) end
`,
  ),

  /** Notes that an ID is held for its resume, if the registration is still this one. */
  hold: script(
    1,
    `
local id, node, claim = unpack(ARGV)
local record = read(KEYS[1], id)
if not isMine(record, node, claim) then return end
record.h = 1
redis.call('HSET', KEYS[1], id, cjson.encode(record))
`,
  ),

  /** Replies with what a node has registered. */
  owned: script(
    0,
    `
return redis.call('SMEMBERS', '${CLIENTS_PREFIX}' .. ARGV[1])
`,
  ),

  /** Ends whatever registration of this ID a node has. */
  forget: script(
    1,
    `
local room, id, node = unpack(ARGV)
local record = read(KEYS[1], id)
if record and record.n == node then return remove(KEYS[1], room, id, record) end
disown(room, id, { n = node })
`,
  ),

  /** A node leaves: it is as if it had not been heard of for long. */
  leave: script(
    0,
    `
redis.call('ZADD', '${NODES_KEY}', 0, ARGV[1])
`,
  ),

  /** Clears some of the clients of a node away that is gone. Replies with how many; 0 when none is left. */
  reap: script(
    0,
    `
local dead, ttl = unpack(ARGV)
if isAlive(dead) then return 0 end
local clients = redis.call('SPOP', '${CLIENTS_PREFIX}' .. dead, ${REAPED_AT_ONCE})
if #clients == 0 then redis.call('ZREM', '${NODES_KEY}', dead) end
for _, client in ipairs(clients) do
  local room, id = readEntry(client)
  local ids = '${IDS_PREFIX}' .. room .. '}'
  local record = read(ids, id)
  if record and record.n == dead then retire(ids, room, id, record, ttl) end
end
return #clients
`,
  ),

  /** Answers with the members of a room. */
  members: script(
    1,
    `
local node, question = unpack(ARGV)
local members = redis.call('HKEYS', KEYS[1])
if #members == 0 then members = nil end
toNode(node, { k = 'answer', q = tonumber(question), s = 'ok', e = members })
`,
  ),

  /**
   * Sends a message to the node of its target, or keeps it. Replies with what became of it: `sent`, `kept`, `full`,
   * `off`, or `late`. One that a node gives back, as its target had left, may not come after others that were sent later:
   * it is kept only where nobody has claimed the ID since, and then goes before all others.
   */
  send: script(
    3,
    `
local room, id, text, messageId, bytes, node, sender, ttl, maxMessages, maxBytes, returnedBy, claim, notAfter = unpack(ARGV)
local time = now()
if time > tonumber(notAfter) then return 'late' end
local isReport, isReturned = node == '', returnedBy ~= ''
local target = read(KEYS[1], id)
if isReturned and not isReport and target and target.n ~= '' and target.c ~= tonumber(claim) then return 'off' end
if target and target.h == 0 and target.n ~= returnedBy and isAlive(target.n) then
  if publish(target.n, text) > 0 then return 'sent' end
end
if ttl == '0' or (isReport and not target) then return 'off' end
local function isFull()
  return redis.call('HLEN', KEYS[2]) >= tonumber(maxMessages)
    or tonumber(redis.call('GET', KEYS[3]) or 0) + bytes > tonumber(maxBytes)
end
if isFull() then
  dropOld(KEYS[2], KEYS[3])
  if isFull() then return 'full' end
end
local kept = table.concat({ isReturned and 0 or 1, count(), time + ttl, bytes, node, text }, ' ')
redis.call('HSET', KEYS[2], messageId, kept)
redis.call('INCRBY', KEYS[3], bytes)
local lifetime = math.max(ttl + ${MAIL_GRACE_MS}, redis.call('PTTL', KEYS[2]))
redis.call('PEXPIRE', KEYS[2], lifetime)
redis.call('PEXPIRE', KEYS[3], lifetime)
if isReturned and not isReport then
  toNode(node, { k = 'returned', m = messageId, r = room, id = id, f = sender, b = tonumber(bytes) })
end
return 'kept'
`,
  ),

  /** Sends a broadcast to the nodes of a room, with a number before it. Replies `sent` or `late`. */
  broadcast: script(
    0,
    `
local channel, text, notAfter = unpack(ARGV)
if now() > tonumber(notAfter) then return 'late' end
redis.call('PUBLISH', channel, count() .. ' ' .. text)
return 'sent'
`,
  ),

  /** Takes back a kept message for which nobody came. */
  expire: script(
    2,
    `
local messageId, bytes = unpack(ARGV)
if redis.call('HDEL', KEYS[1], messageId) == 1 then redis.call('DECRBY', KEYS[2], bytes) end
`,
  ),
} as const satisfies Record<string, Script>;

export type ScriptName = keyof typeof SCRIPTS;
