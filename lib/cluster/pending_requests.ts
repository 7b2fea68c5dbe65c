/** Requests to Redis, whose responses arrive on the node's own channel, in order with its other messages. */

import { unlessDisconnected } from "./disconnected.ts";
import type { ResponseMessage } from "./messages.ts";

/** Handles a response; null if there will be none. */
type Listener = (response: ResponseMessage | null) => void;

export class PendingRequests {
  readonly #listeners = new Map<number, Listener>();
  #count = 0;

  /**
   * Sends a request. Resolves once the listener has handled the response, and rejects with what it throws.
   *
   * @param send sends the request with this ID; if it resolves to `late` or rejects, there will be no response
   * @param listen receives the response before the node handles the next message on the channel
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

  /** Resolves the request of a response; returns false if it is no longer pending. */
  resolve(message: ResponseMessage): boolean {
    const listener = this.#listeners.get(message.requestId);
    listener?.(message);
    return listener !== undefined;
  }

  /** Ends all pending requests without a response. */
  rejectAll(): void {
    for (const listener of [...this.#listeners.values()]) listener(null);
  }
}
