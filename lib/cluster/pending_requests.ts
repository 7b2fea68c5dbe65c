/** Requests to Redis that are answered on the node's own channel, in line with all else that is decided there. */

import type { AnswerMessage } from "./messages.ts";

/** Handles the answer; null if there will be none. */
type Listener = (answer: AnswerMessage | null) => void;

export class PendingRequests {
  readonly #listeners = new Map<number, Listener>();
  #count = 0;

  /**
   * Sends a request. Resolves once the answer has been handled, and rejects with what the listener throws.
   *
   * @param send sends the request with this ID; `late` or a rejection means that no answer will come
   * @param listen is called as soon as the answer comes, before anything that comes after it
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
      send(requestId).catch(() => "late").then((reply) => {
        if (reply === "late") this.#listeners.get(requestId)?.(null);
      });
    });
  }

  /** Handles an answer. */
  resolve(message: AnswerMessage): void {
    this.#listeners.get(message.requestId)?.(message);
  }

  /** Ends all requests: no answers will come. */
  rejectAll(): void {
    for (const listener of [...this.#listeners.values()]) listener(null);
  }
}
