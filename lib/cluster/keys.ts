/** The names of keys and channels in Redis. */

/** The names of one cluster. Several clusters may share a Redis, each with a prefix of its own. */
export class Keys {
  /**
   * The IDs of a room: hash of client ID to record. The text between the braces is a hash tag, which keeps the keys of a
   * room on one shard. It is never empty, because `{}` is no tag.
   */
  readonly idsPrefix: string;
  /** Channel of the changes and broadcasts in a room. */
  readonly roomChannelPrefix: string;
  /** Channel of the messages to one node. */
  readonly nodeChannelPrefix: string;
  /** Channel of what is published on a topic. */
  readonly topicPrefix: string;
  /** The clients of a node: set of entries, see {@link readEntry}. */
  readonly clientsPrefix: string;
  /** Sorted set of node to the time of its last heartbeat; also the channel on which the end of a node is published. */
  readonly nodes: string;
  /** IDs that Redis holds for a resume after their nodes left: sorted set of entry to the time at which each expires. */
  readonly held: string;
  /** Counter of epochs. */
  readonly count: string;
  /** The hash of the list of Redis servers that the nodes were started with. */
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
