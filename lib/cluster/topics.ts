/** Topics with subscribers at this node, each on a channel of Redis. */

import { Buffer } from "node:buffer";
import { unlessDisconnected } from "./disconnected.ts";
import type { Keys } from "./keys.ts";
import type { Node } from "./node.ts";
import type { RedisSession } from "./redis.ts";

/** Upper bound of unconfirmed publications, which wait in this node's memory, in bytes. */
const MAX_BYTES_IN_FLIGHT = 16 * 1024 * 1024;

export class ClusterTopics {
  readonly #node: Node;
  readonly #prefix: string;
  readonly #deliver: (key: string, text: string) => void;
  readonly #watched = new Set<string>();
  #bytesInFlight = 0;

  /** @param deliver receives the publications of other nodes */
  constructor(node: Node, { topicPrefix }: Keys, deliver: (key: string, text: string) => void) {
    this.#node = node;
    this.#prefix = topicPrefix;
    this.#deliver = deliver;
  }

  watch(key: string, isWatched: boolean): void {
    const { redis } = this.#node;
    if (isWatched) this.#watched.add(key);
    else this.#watched.delete(key);
    const channel = this.#prefix + key;
    const change = isWatched ? redis?.subscribe([channel]) : redis?.unsubscribe(channel);
    unlessDisconnected(change); // the next session subscribes to all topics
  }

  /** Publishes to other nodes, or drops the text if Redis is unreachable or too slow: topics promise no delivery. */
  publish(key: string, text: string): void {
    const bytes = Buffer.byteLength(text);
    if (!this.#node.isReady || this.#bytesInFlight + bytes > MAX_BYTES_IN_FLIGHT) return;
    this.#bytesInFlight += bytes;
    const publishing = this.#node.publish(this.#prefix + key, `${this.#node.id}\n${text}`);
    unlessDisconnected(publishing).then(() => this.#bytesInFlight -= bytes);
  }

  /** Subscribes a new session to all topics. */
  async subscribe(redis: RedisSession): Promise<void> {
    const channels = [...this.#watched].map((key) => this.#prefix + key);
    await redis.subscribe(channels);
  }

  /** Delivers a publication of another node. */
  onMessage(message: string, channel: string): void {
    const lineFeed = message.indexOf("\n");
    if (message.slice(0, lineFeed) === this.#node.id) return;
    this.#deliver(channel.slice(this.#prefix.length), message.slice(lineFeed + 1));
  }
}
