/** Messages that Redis keeps for somebody on behalf of this node: until one hears of their end, either way. */

import { type Clock, Deadlines, VariedDeadlines } from "../clock.ts";
import { type Cost, MailboxBudget } from "../relay/mailbox.ts";

/** A message that was sent into the cluster and may be kept there. */
export interface KeptMessage {
  readonly id: string;
  readonly room: string;
  readonly targetId: string;
  readonly bytes: number;
  readonly cost: Cost;
  /** How long it is kept, in milliseconds. */
  readonly ttlMs: number;
  /** Whether all messages of the same sender and target end with it. */
  readonly expiresTogether: boolean;
  /** Tells its sender that nobody came for it. */
  report(): void;
}

/** How much longer a message may be kept that could not be taken back: it may have reached Redis late. */
export const UNSURE_MS = 6000;

export class KeptMessages {
  readonly #messages = new Map<string, KeptMessage>();
  /** Those that expire together with others, by their target. */
  readonly #byTarget = new Map<string, Set<KeptMessage>>();
  readonly #waiting: VariedDeadlines<KeptMessage>;
  readonly #unsure: Deadlines<KeptMessage>;
  readonly #takeBack: (messages: readonly KeptMessage[]) => Promise<unknown>;
  readonly #budget = new MailboxBudget();

  /**
   * @param takeBack is to take messages for one target back in one step; rejects where Redis cannot be reached. If
   * one was fetched, that is to be heard, by {@link delete}, before it resolves.
   */
  constructor(clock: Clock, takeBack: (messages: readonly KeptMessage[]) => Promise<unknown>) {
    this.#takeBack = takeBack;
    this.#unsure = new Deadlines(clock, UNSURE_MS, (message) => this.#lose(this.#group(message)));
    this.#waiting = new VariedDeadlines(clock, (message) => this.#end(message));
  }

  get size(): number {
    return this.#messages.size;
  }

  /** Whether this node may have one more kept. */
  hasCapacityFor(cost: Cost): boolean {
    return this.#budget.hasCapacityFor(cost);
  }

  add(message: KeptMessage): void {
    if (message.ttlMs === 0) return;
    this.#messages.set(message.id, message);
    if (message.expiresTogether) {
      const { targetKey } = message.cost;
      this.#byTarget.set(targetKey, (this.#byTarget.get(targetKey) ?? new Set()).add(message));
    }
    this.#budget.count(message.cost, 1);
    this.#waiting.add(message, message.ttlMs);
  }

  /** It was not kept, or somebody has fetched it. False where it was not known. */
  delete(id: string): boolean {
    const message = this.#messages.get(id);
    if (message === undefined) return false;
    this.#messages.delete(id);
    const { targetKey } = message.cost;
    const together = this.#byTarget.get(targetKey);
    if (together?.delete(message) && together.size === 0) this.#byTarget.delete(targetKey);
    this.#budget.count(message.cost, -1);
    this.#waiting.delete(message);
    this.#unsure.delete(message);
    return true;
  }

  /** Returns what expires with a message, itself among it. */
  #group(message: KeptMessage): readonly KeptMessage[] {
    if (!message.expiresTogether) return [message];
    const { sender, targetKey } = message.cost;
    return [...this.#byTarget.get(targetKey) ?? []].filter(({ cost }) => cost.sender === sender);
  }

  async #end(message: KeptMessage): Promise<void> {
    const group = this.#group(message);
    try {
      await this.#takeBack(group);
      this.#lose(group);
    } catch {
      if (this.#messages.has(message.id)) this.#unsure.add(message);
    }
  }

  /** Reports once for all of a group that was not fetched. */
  #lose(group: readonly KeptMessage[]): void {
    const lost = group.filter(({ id }) => this.delete(id));
    lost[0]?.report();
  }

  /** Drops what expires together with a message, without a report. */
  dropTogether(message: KeptMessage): void {
    const group = message.expiresTogether ? this.#group(message) : [];
    if (group.length === 0) return;
    for (const { id } of group) this.delete(id);
    this.#takeBack(group).catch(() => {}); // Redis drops it by itself a little later
  }

  /** Takes all messages back at once, and reports those for which nobody has come. */
  async giveUp(): Promise<void> {
    await Promise.all([...this.#messages.values()].map((message) => this.#end(message)));
    this.#unsure.runAll();
  }
}
