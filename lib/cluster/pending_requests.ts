/** Requests to Redis whose answers come on the node's own channel, in order with all other messages there. */

import { unlessDisconnected } from "./disconnected.ts";
import type { AnswerMessage } from "./messages.ts";

/** Handles an answer; null if none will come. */
type Listener = (answer: AnswerMessage | null) => void;

export class PendingRequests {
  readonly #listeners = new Map<number, Listener>();
  #count = 0;

  /**
   * Sends a request. Resolves once the answer has been handled, and rejects with what the listener throws.
   *
   * @param send sends the request with this ID; `late` or a rejection means that no answer will come
   * @param listen receives the answer before the next message on the channel is handled
   */
  request(send: (requestId: number) => Promise<unknown>, listen: Listener): Promise<void> {
    const requestId = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#listeners.set(requestId, (answer) => {
        this.#listeners.delete(requestId);
        try {
          listen(answer);
          resolve();
        } catch (error) {
          reject(error);
        }
      });
      unlessDisconnected(send(requestId), "late").then((reply) => {
        if (reply === "late") this.#listeners.get(requestId)?.(null);
      });
    });
  }

  /** Handles an answer. Returns false if it comes too late. */
  resolve(message: AnswerMessage): boolean {
    const listener = this.#listeners.get(message.requestId);
    listener?.(message);
    return listener !== undefined;
  }

  /** Ends all requests without an answer. */
  rejectAll(): void {
    for (const listener of [...this.#listeners.values()]) listener(null);
  }
}
