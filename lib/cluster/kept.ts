/** Messages of this node's clients that Redis keeps for somebody: until one hears of their end, either way. */

import { type Clock, Deadlines } from "../clock.ts";
import { MAX_BYTES_IN_ALL } from "../mailbox.ts";
import type { Client } from "../router.ts";

/** A message that was sent into the cluster and may be kept there. */
export interface KeptMessage {
  readonly id: string;
  readonly sender: Client;
  readonly targetId: string;
  readonly bytes: number;
}

/** How long the receipt of a message may take that somebody has fetched at the last moment. */
const RECEIPT_GRACE_MS = 2000;

export class KeptMessages {
  readonly #messages = new Map<string, KeptMessage>();
  readonly #waiting: Deadlines<KeptMessage>;
  readonly #fetched: Deadlines<KeptMessage>;
  #bytes = 0;

  /**
   * @param onDue is told of a message whose time is up. It says whether the message was still there; where not, somebody
   * has fetched it, and a receipt is under way.
   * @param onLost is told of a message for which nobody came, or of which nobody can say
   */
  constructor(
    clock: Clock,
    ttlMs: number,
    onDue: (message: KeptMessage) => Promise<boolean>,
    onLost: (message: KeptMessage) => void,
  ) {
    const lose = (message: KeptMessage) => {
      if (this.delete(message.id)) onLost(message);
    };
    this.#fetched = new Deadlines(clock, RECEIPT_GRACE_MS, lose);
    this.#waiting = new Deadlines(clock, ttlMs, async (message) => {
      if (await onDue(message)) lose(message);
      else if (this.#messages.has(message.id)) this.#fetched.add(message);
    });
  }

  get size(): number {
    return this.#messages.size;
  }

  /** Whether this node may have one more kept. */
  hasRoomFor(bytes: number): boolean {
    return this.#bytes + bytes <= MAX_BYTES_IN_ALL;
  }

  add(message: KeptMessage): void {
    this.#messages.set(message.id, message);
    this.#bytes += message.bytes;
    this.#waiting.add(message);
  }

  /** It was not kept, or has been delivered. False where it was not known. */
  delete(id: string): boolean {
    const message = this.#messages.get(id);
    if (message === undefined) return false;
    this.#messages.delete(id);
    this.#bytes -= message.bytes;
    this.#waiting.delete(message);
    this.#fetched.delete(message);
    return true;
  }
}
