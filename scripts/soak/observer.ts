/** Watches who comes and goes, and notices what does not fit together. */

import { Connection, type Listener, type Registered, type Way } from "./connection.ts";
import type { Ledger } from "./ledger.ts";

export class Observer implements Listener {
  readonly #way: Way;
  readonly #ledger: Ledger;
  readonly #present = new Set<string>();
  #connection: Connection | null = null;
  #onEmpty = () => {};

  constructor(way: Way) {
    this.#way = way;
    this.#ledger = way.ledger;
  }

  /** Begins to watch. */
  async register(id: string): Promise<void> {
    const registration = { client_id: id, presence: true };
    const result = await Connection.register(this.#way, registration, this);
    if (result === null) throw new Error(`${this.#way.url} does not let ${id} register`);
    this.#connection = result.connection;
    result.connection.ended.then(() => this.#onEmpty());
  }

  onRegistered({ peers = [] }: Registered): void {
    for (const id of peers) this.#present.add(id);
  }

  onPresence(type: "peer_joined" | "peer_left", id: string): void {
    const isJoin = type === "peer_joined";
    if (isJoin === this.#present.has(id)) {
      this.#ledger.oddities.push(`${type} for ${id}, who was ${isJoin ? "" : "not "}there`);
    }
    if (isJoin) this.#present.add(id);
    else this.#present.delete(id);
    if (this.#present.size === 0) this.#onEmpty();
  }

  /** Ends when it has seen the last of the others leave, or after `timeoutMs`. */
  async end(timeoutMs: number): Promise<void> {
    const isOpen = this.#connection?.isOpen ?? false;
    if (!isOpen) this.#ledger.oddities.push("the observer was dropped");
    if (isOpen && this.#present.size > 0) await this.#empty(timeoutMs);
    for (const id of this.#present) this.#ledger.oddities.push(`${id} has left, but never did`);
    if (this.#connection?.isOpen) await this.#connection.close();
  }

  async #empty(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onEmpty = resolve;
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
  }
}
