/** Requests to Redis whose responses come on the node's own channel, in order with all other messages there. */

import { unlessDisconnected } from "./disconnected.ts";
import type { ResponseMessage } from "./messages.ts";

/** Handles a response; null if none will come. */
type Listener = (response: ResponseMessage | null) => void;

export class PendingRequests {
  readonly #listeners = new Map<number, Listener>();
  #count = 0;

  /**
   * Sends a request. Resolves once the response has been handled, and rejects with what the listener throws.
   *
   * @param send sends the request with this ID; `late` or a rejection means that no response will come
   * @param listen receives the response before the next message on the channel is handled
   */
  request(send: (requestId: number) => Promise<unknown>, listen: Listener): Promise<void> {
    const requestId = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#listeners.set(requestId, (response) => {
        this.#listeners.delete(requestId);
        try {
          listen(response);
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

  /** Handles a response. Returns false if it comes too late. */
  resolve(message: ResponseMessage): boolean {
    const listener = this.#listeners.get(message.requestId);
    listener?.(message);
    return listener !== undefined;
  }

  /** Ends all requests without a response. */
  rejectAll(): void {
    for (const listener of [...this.#listeners.values()]) listener(null);
  }
}
