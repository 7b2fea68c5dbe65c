/** The names of keys and channels in Redis. */

/** The names of one cluster. Several clusters may share a Redis, each with a prefix of its own. */
export class Keys {
  /**
   * The IDs of a room: hash of client ID to record. The text between the braces is a hash tag, which keeps the keys of a
   * room on one shard. It is never empty, because `{}` is no tag.
   */
  readonly idsPrefix: string;
  readonly #mailPrefix: string;
  readonly #mailSizePrefix: string;
  /** Channel of the changes and broadcasts in a room. */
  readonly roomChannelPrefix: string;
  /** Channel of the messages to one node. */
  readonly nodeChannelPrefix: string;
  /** Channel of what is published on a topic. */
  readonly topicPrefix: string;
  /** The clients of a node: set of entries, see {@link readEntry}. */
  readonly clientsPrefix: string;
  /** Sorted set of node to the time of its last heartbeat. */
  readonly nodes: string;
  /** IDs that Redis holds for a resume after their nodes left: sorted set of entry to the time at which each expires. */
  readonly held: string;
  /** Counter of epochs, stored messages and broadcasts. */
  readonly count: string;
  /** The hash of the list of Redis servers that the nodes were started with. */
  readonly list: string;

  /** @param prefix goes before every key and channel, and contains no colon */
  constructor(prefix: string) {
    this.idsPrefix = `${prefix}:ids:{#`;
    this.#mailPrefix = `${prefix}:mail:{#`;
    this.#mailSizePrefix = `${prefix}:mail-size:{#`;
    this.roomChannelPrefix = `${prefix}:room:{#`;
    this.nodeChannelPrefix = `${prefix}:node:`;
    this.topicPrefix = `${prefix}:topic:`;
    this.clientsPrefix = `${prefix}:clients:`;
    this.nodes = `${prefix}:nodes`;
    this.held = `${prefix}:held`;
    this.count = `${prefix}:count`;
    this.list = `${prefix}:list`;
  }

  ids(room: string): string {
    return `${this.idsPrefix}${room}}`;
  }

  /** Returns three keys: a room's IDs, the mailbox of one of them (hash of message ID to message), and its size in bytes. */
  mail(room: string, id: string): [ids: string, mail: string, size: string] {
    const end = `${room}}\0${id}`; // neither contains U+0000, so no two are the same
    return [this.ids(room), this.#mailPrefix + end, this.#mailSizePrefix + end];
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
