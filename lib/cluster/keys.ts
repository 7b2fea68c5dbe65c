/** The names of keys and channels in Redis. */

/**
 * The IDs of a room: hash of client ID to record. What stands between the braces decides, in a Redis Cluster, on which
 * node a key lives: so all of a room is together. It is never empty, as a name in `{}` would not count.
 */
export const IDS_PREFIX = "signalbox:ids:{#";
const MAIL_PREFIX = "signalbox:mail:{#";
const MAIL_SIZE_PREFIX = "signalbox:mail-size:{#";
/** What happens in a room, for the nodes that have clients there. */
export const ROOM_CHANNEL_PREFIX = "signalbox:room:{#";
/** What concerns one node alone. */
export const NODE_CHANNEL_PREFIX = "signalbox:node:";
/** What a node has registered: set of entries, see {@link readEntry}. */
export const CLIENTS_PREFIX = "signalbox:clients:";
/** Sorted set of node to the time of its last heartbeat. */
export const NODES_KEY = "signalbox:nodes";
/** IDs that Redis holds for a resume, as their nodes are gone: sorted set of entry to the time at which that ends. */
export const HELD_KEY = "signalbox:held";
/** Counts claims, kept messages and broadcasts. */
export const COUNT_KEY = "signalbox:count";

export function idsKey(room: string): string {
  return `${IDS_PREFIX}${room}}`;
}

/** The IDs of a room; what is kept for one of them: hash of message ID to message; the size of that, in bytes. */
export function mailKeys(room: string, id: string): [ids: string, mail: string, size: string] {
  const end = `${room}}\0${id}`; // neither has a control character, so no two can be mistaken for each other
  return [idsKey(room), MAIL_PREFIX + end, MAIL_SIZE_PREFIX + end];
}

export function nodeChannel(node: string): string {
  return NODE_CHANNEL_PREFIX + node;
}

export function roomChannel(room: string): string {
  return `${ROOM_CHANNEL_PREFIX}${room}}`;
}

/** The room of a {@link roomChannel}. */
export function roomOf(channel: string): string {
  return channel.slice(ROOM_CHANNEL_PREFIX.length, -1);
}

/** A room and an ID as scripts write them together. */
export function readEntry(entry: string): [room: string, id: string] {
  const end = entry.indexOf("\0");
  return [entry.slice(0, end), entry.slice(end + 1)];
}
