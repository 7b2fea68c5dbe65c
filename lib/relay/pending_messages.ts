/** Messages that wait while a client's registration is pending, or while the node's lease is not valid. */

import type { BufferedTotal } from "./send_buffer.ts";

/** Upper bounds of the messages of one client. */
const MAX_MESSAGES = 64;
const MAX_CHARS = 256 * 1024;

export class PendingMessages {
  static readonly bound = `${MAX_MESSAGES} messages or ${MAX_CHARS} characters`;
  readonly #total: BufferedTotal;
  readonly #texts: string[] = [];
  #chars = 0;

  /** @param total counts the messages of all clients */
  constructor(total: BufferedTotal) {
    this.#total = total;
  }

  hasCapacityFor(text: string): boolean {
    return this.#texts.length < MAX_MESSAGES && this.#chars + text.length <= MAX_CHARS &&
      !this.#total.isExceeded;
  }

  add(text: string): void {
    this.#texts.push(text);
    this.#chars += text.length;
    this.#total.add(text.length);
  }

  /** Takes out all messages, in order. */
  take(): readonly string[] {
    this.#total.add(-this.#chars);
    this.#chars = 0;
    return this.#texts.splice(0);
  }
}
