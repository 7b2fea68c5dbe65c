/** Tracks the messages of this node's clients that Redis stores, until they are fetched or expire. */

import { type Clock, Deadlines, VariedDeadlines } from "../clock.ts";
import { type Cost, MailboxBudget } from "../relay/mailbox.ts";

/** A message that Redis stores, or is about to store. */
export interface StoredMessage {
  readonly id: string;
  readonly room: string;
  readonly targetId: string;
  readonly bytes: number;
  readonly cost: Cost;
  /** The time for which it is stored, in milliseconds. */
  readonly ttlMs: number;
  /** True if all messages of the same sender and target expire with it. */
  readonly expiresTogether: boolean;
  /** Notifies its sender that it expired. */
  report(): void;
}

/** Time after which an expired message that could not be taken back counts as lost, in milliseconds. */
export const UNCONFIRMED_MS = 6000;

export class StoredMessages {
  readonly #messages = new Map<string, StoredMessage>();
  /** The messages that expire together with others, by target. */
  readonly #byTarget = new Map<string, Set<StoredMessage>>();
  readonly #timed: VariedDeadlines<StoredMessage>;
  readonly #unconfirmed: Deadlines<StoredMessage>;
  readonly #takeBack: (messages: readonly StoredMessage[]) => Promise<unknown>;
  readonly #budget = new MailboxBudget();

  /**
   * @param takeBack takes messages for one target back in one step; rejects if Redis cannot be reached. Before it resolves,
   * {@link delete} is called for each message that was fetched.
   */
  constructor(clock: Clock, takeBack: (messages: readonly StoredMessage[]) => Promise<unknown>) {
    this.#takeBack = takeBack;
    this.#unconfirmed = new Deadlines(
      clock,
      UNCONFIRMED_MS,
      (message) => this.#fail(this.#group(message)),
    );
    this.#timed = new VariedDeadlines(clock, (message) => this.#end(message));
  }

  get size(): number {
    return this.#messages.size;
  }

  /** Returns whether one more message may be stored. */
  hasCapacityFor(cost: Cost): boolean {
    return this.#budget.hasCapacityFor(cost);
  }

  /** Keeps account of a message that Redis has stored. */
  add(message: StoredMessage): void {
    this.reserve(message);
    this.start(message.id);
  }

  /** Counts a message on its way to Redis. Its time starts with the reply, as it may come later than the time takes. */
  reserve(message: StoredMessage): void {
    if (message.ttlMs === 0) return;
    this.#messages.set(message.id, message);
    if (message.expiresTogether) {
      const { targetKey } = message.cost;
      this.#byTarget.set(targetKey, (this.#byTarget.get(targetKey) ?? new Set()).add(message));
    }
    this.#budget.count(message.cost, 1);
  }

  /** Starts the time of a message that Redis has stored, unless it has been fetched already. */
  start(id: string): void {
    const message = this.#messages.get(id);
    if (message !== undefined) this.#timed.add(message, message.ttlMs);
  }

  /** Forgets a message that was not stored, or was fetched; false if it is unknown. */
  delete(id: string): boolean {
    const message = this.#messages.get(id);
    if (message === undefined) return false;
    this.#messages.delete(id);
    const { targetKey } = message.cost;
    const together = this.#byTarget.get(targetKey);
    if (together?.delete(message) && together.size === 0) this.#byTarget.delete(targetKey);
    this.#budget.count(message.cost, -1);
    this.#timed.delete(message);
    this.#unconfirmed.delete(message);
    return true;
  }

  /** Returns the messages that expire with this one, which is among them. */
  #group(message: StoredMessage): readonly StoredMessage[] {
    if (!message.expiresTogether) return [message];
    const { sender, targetKey } = message.cost;
    return [...this.#byTarget.get(targetKey) ?? []].filter(({ cost }) => cost.sender === sender);
  }

  async #end(message: StoredMessage): Promise<void> {
    const group = this.#group(message);
    try {
      await this.#takeBack(group);
      this.#fail(group);
    } catch {
      if (this.#messages.has(message.id)) this.#unconfirmed.add(message);
    }
  }

  /** Notifies the sender once of all messages of a group that were not fetched. */
  #fail(group: readonly StoredMessage[]): void {
    const lost = group.filter(({ id }) => this.delete(id));
    lost[0]?.report();
  }

  /** Drops the messages that expire with this one, without a notice. */
  dropTogether(message: StoredMessage): void {
    const group = message.expiresTogether ? this.#group(message) : [];
    if (group.length === 0) return;
    for (const { id } of group) this.delete(id);
    this.#takeBack(group).catch(() => {}); // Redis drops them itself a little later
  }

  /** Takes all messages back, and notifies the senders of those that were not fetched. */
  async expireAll(): Promise<void> {
    await Promise.all([...this.#messages.values()].map((message) => this.#end(message)));
    this.#unconfirmed.runAll();
  }
}
