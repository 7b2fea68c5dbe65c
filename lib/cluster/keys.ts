/** Names of keys and channels in Redis. */

/** Names of one cluster. Several clusters may share a Redis, each with its own prefix. */
export class Keys {
  /**
   * The IDs of a room: hash of client ID to record. The braces enclose a hash tag, which keeps the keys of a room on one
   * shard. The `#` makes sure that the tag is never empty.
   */
  readonly idsPrefix: string;
  /** Channel of the changes and broadcasts in a room. */
  readonly roomChannelPrefix: string;
  /** Channel of the publications and responses to one node. */
  readonly nodeChannelPrefix: string;
  /** Channel of the publications on a topic. */
  readonly topicPrefix: string;
  /** The clients of a node: set of entries, see {@link readEntry}. */
  readonly clientsPrefix: string;
  /** Sorted set of node to the time of its last heartbeat; also the channel that announces the end of a node. */
  readonly nodes: string;
  /** Sorted set of entry to expiry, for IDs that Redis holds for a resume after their nodes left. */
  readonly held: string;
  /** Counter of epochs. */
  readonly count: string;
  /** Hash of the list of Redis servers that the nodes were started with. */
  readonly list: string;
  /** The node that ends registrations for all. */
  readonly reaper: string;

  /** @param prefix goes before every key and channel, and contains no colon */
  constructor(prefix: string) {
    this.idsPrefix = `${prefix}:ids:{#`;
    this.roomChannelPrefix = `${prefix}:room:{#`;
    this.nodeChannelPrefix = `${prefix}:node:`;
    this.topicPrefix = `${prefix}:topic:`;
    this.clientsPrefix = `${prefix}:clients:`;
    this.nodes = `${prefix}:nodes`;
    this.held = `${prefix}:held`;
    this.count = `${prefix}:count`;
    this.list = `${prefix}:list`;
    this.reaper = `${prefix}:reaper`;
  }

  ids(room: string): string {
    return `${this.idsPrefix}${room}}`;
  }

  nodeChannel(node: string): string {
    return this.nodeChannelPrefix + node;
  }

  roomChannel(room: string): string {
    return `${this.roomChannelPrefix}${room}}`;
  }

  /** Returns the room of a {@link roomChannel}. */
  roomOf(channel: string): string {
    return channel.slice(this.roomChannelPrefix.length, -1);
  }
}

/** Splits an entry of a script into its room and its ID. */
export function readEntry(entry: string): [room: string, id: string] {
  const end = entry.indexOf("\0");
  return [entry.slice(0, end), entry.slice(end + 1)];
}
