/** The names of keys and channels in Redis. */

/**
 * The IDs of a room: hash of client ID to record. The text between the braces is a hash tag, which keeps the keys of a
 * room on one shard. It is never empty, because `{}` is no tag.
 */
export const IDS_PREFIX = "signalbox:ids:{#";
const MAIL_PREFIX = "signalbox:mail:{#";
const MAIL_SIZE_PREFIX = "signalbox:mail-size:{#";
/** Channel of the changes and broadcasts in a room. */
export const ROOM_CHANNEL_PREFIX = "signalbox:room:{#";
/** Channel of the messages to one node. */
export const NODE_CHANNEL_PREFIX = "signalbox:node:";
/** The clients of a node: set of entries, see {@link readEntry}. */
export const CLIENTS_PREFIX = "signalbox:clients:";
/** Sorted set of node to the time of its last heartbeat. */
export const NODES_KEY = "signalbox:nodes";
/** IDs that Redis holds for a resume after their nodes left: sorted set of entry to the time at which each expires. */
export const HELD_KEY = "signalbox:held";
/** Counter of epochs, stored messages and broadcasts. */
export const COUNT_KEY = "signalbox:count";

export function idsKey(room: string): string {
  return `${IDS_PREFIX}${room}}`;
}

/** Returns three keys: a room's IDs, the mailbox of one of them (hash of message ID to message), and its size in bytes. */
export function mailKeys(room: string, id: string): [ids: string, mail: string, size: string] {
  const end = `${room}}\0${id}`; // neither contains U+0000, so no two are the same
  return [idsKey(room), MAIL_PREFIX + end, MAIL_SIZE_PREFIX + end];
}

export function nodeChannel(node: string): string {
  return NODE_CHANNEL_PREFIX + node;
}

export function roomChannel(room: string): string {
  return `${ROOM_CHANNEL_PREFIX}${room}}`;
}

/** Returns the room of a {@link roomChannel}. */
export function roomOf(channel: string): string {
  return channel.slice(ROOM_CHANNEL_PREFIX.length, -1);
}

/** Splits an entry of a script into its room and its ID. */
export function readEntry(entry: string): [room: string, id: string] {
  const end = entry.indexOf("\0");
  return [entry.slice(0, end), entry.slice(end + 1)];
}
