/** Subscribers by topic: publish and subscribe, for the dialects that have no targets. */

import { MemoryBudget, memoryOf, networkOf } from "./capacity.ts";
import type { Session } from "./session.ts";
import { clientKey } from "./vocabulary.ts";

/** Upper bound of the topics of one session. */
const MAX_TOPICS = 256;
/** Upper bound of a topic's length, in UTF-16 code units. */
const MAX_TOPIC_CHARS = 1024;
/** Upper bounds of the memory of all subscriptions, and of those of one address, in bytes. */
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_BYTES_PER_ADDRESS = 4 * 1024 * 1024;
/** Memory that a subscription takes beside its topic, in bytes. Measured: 410 for a client's only one, 230 for others. */
const OVERHEAD_BYTES = 400;

export class Topics {
  /** Sets of subscribers by namespace and topic: nothing crosses from one dialect to another. */
  readonly #subscribers = new Map<string, Set<Session>>();
  readonly #topics = new Map<Session, Set<string>>();
  readonly #budget = new MemoryBudget(MAX_BYTES, MAX_BYTES_PER_ADDRESS);
  readonly #onWatched: (key: string, isWatched: boolean) => void;

  /** @param onWatched is called with true for a topic's first subscriber, and with false after its last */
  constructor(onWatched: (key: string, isWatched: boolean) => void) {
    this.#onWatched = onWatched;
  }

  /** Returns the key of a topic of a session's dialect. */
  keyOf({ room }: Session, topic: string): string {
    return clientKey(room.name, topic);
  }

  /** Subscribes, unless the topic is too long, or the session or its address has too many. */
  subscribe(session: Session, topic: string): void {
    const topics = this.#topics.get(session) ?? new Set();
    const key = this.keyOf(session, topic);
    const isValid = topic !== "" && topic.length <= MAX_TOPIC_CHARS;
    if (!isValid || topics.has(key) || topics.size >= MAX_TOPICS) return;
    const network = networkOf(session.address);
    const bytes = memoryOfSubscription(key);
    if (!this.#budget.hasCapacityFor(network, bytes)) return;
    this.#budget.count(network, bytes);
    const subscribers = this.#subscribers.get(key) ?? new Set();
    topics.add(key);
    subscribers.add(session);
    this.#topics.set(session, topics);
    this.#subscribers.set(key, subscribers);
    if (subscribers.size === 1) this.#onWatched(key, true);
  }

  unsubscribe(session: Session, topic: string): void {
    this.#remove(session, this.keyOf(session, topic));
  }

  /** Ends all subscriptions of a session. */
  leave(session: Session): void {
    for (const key of this.#topics.get(session) ?? []) this.#remove(session, key);
  }

  #remove(session: Session, key: string): void {
    const topics = this.#topics.get(session);
    if (!topics?.delete(key)) return;
    this.#budget.count(networkOf(session.address), -memoryOfSubscription(key));
    if (topics.size === 0) this.#topics.delete(session);
    const subscribers = this.#subscribers.get(key)!;
    subscribers.delete(session);
    if (subscribers.size > 0) return;
    this.#subscribers.delete(key);
    this.#onWatched(key, false);
  }

  /** The number of topics. */
  get size(): number {
    return this.#subscribers.size;
  }

  /** Returns the number of subscribers on this node. */
  count(key: string): number {
    return this.#subscribers.get(key)?.size ?? 0;
  }

  /** Sends a text to all subscribers on this node, and returns their number. */
  deliver(key: string, text: string): number {
    let count = 0;
    for (const session of this.#subscribers.get(key) ?? []) {
      if (session.connection?.send(text)) count++;
    }
    return count;
  }
}

function memoryOfSubscription(key: string): number {
  return OVERHEAD_BYTES + memoryOf(key);
}
