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
  readonly #waiting: VariedDeadlines<KeptMessage>;
  readonly #unsure: Deadlines<KeptMessage>;
  readonly #takeBack: (message: KeptMessage) => Promise<unknown>;
  readonly #budget = new MailboxBudget();

  /**
   * @param takeBack is to take a message back whose time is up; rejects where Redis cannot be reached. If somebody
   * has fetched it, that is to be heard, by {@link delete}, before it resolves.
   */
  constructor(clock: Clock, takeBack: (message: KeptMessage) => Promise<unknown>) {
    this.#takeBack = takeBack;
    this.#unsure = new Deadlines(clock, UNSURE_MS, (message) => this.#lose(message));
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
    this.#budget.count(message.cost, 1);
    this.#waiting.add(message, message.ttlMs);
  }

  /** It was not kept, or somebody has fetched it. False where it was not known. */
  delete(id: string): boolean {
    const message = this.#messages.get(id);
    if (message === undefined) return false;
    this.#messages.delete(id);
    this.#budget.count(message.cost, -1);
    this.#waiting.delete(message);
    this.#unsure.delete(message);
    return true;
  }

  async #end(message: KeptMessage): Promise<void> {
    try {
      await this.#takeBack(message);
      this.#lose(message);
    } catch {
      if (this.#messages.has(message.id)) this.#unsure.add(message);
    }
  }

  #lose(message: KeptMessage): void {
    if (!this.delete(message.id)) return;
    this.dropTogether(message);
    message.report();
  }

  /** Drops what expires together with a message, without a report. */
  dropTogether({ cost, expiresTogether }: KeptMessage): void {
    if (!expiresTogether) return;
    for (const other of this.#messages.values()) {
      const isSame = other.cost.sender === cost.sender && other.cost.targetKey === cost.targetKey;
      if (!isSame || !this.delete(other.id)) continue;
      this.#takeBack(other).catch(() => {}); // Redis drops it by itself a little later
    }
  }

  /** Takes all messages back at once, and reports those for which nobody has come. */
  async giveUp(): Promise<void> {
    await Promise.all([...this.#messages.values()].map((message) => this.#end(message)));
    this.#unsure.runAll();
  }
}
