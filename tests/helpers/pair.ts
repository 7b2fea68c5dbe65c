/** Two well-behaved clients that go on exchanging numbered messages, and notice each one that is lost. */

import assert from "node:assert/strict";
import { quantile } from "../../scripts/bench/statistics.ts";
import { TestClient } from "./client.ts";

/** Messages a second from each client: below the default rate limit of 100. */
const MESSAGES_PER_SECOND = 80;

/** The number of messages that went there and back, and the longest time that one took. */
export interface PairTimes {
  readonly messages: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

export class Pair {
  readonly #left: TestClient;
  readonly #right: TestClient;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #sentAtMs: number[] = [];
  readonly #received: Promise<void>;
  #back = 0;
  /** The time that each message took there and back. */
  readonly #timesMs: number[] = [];
  #isEnding = false;
  #onBack = () => {};

  private constructor(left: TestClient, right: TestClient) {
    this.#left = left;
    this.#right = right;
    this.#timer = setInterval(() => this.#sendNext(), 1000 / MESSAGES_PER_SECOND);
    this.#received = Promise.all([this.#echo(), this.#check()]).then(() => {});
    this.#received.catch(() => {}); // until a test asks
  }

  /** Connects them; they begin at once. */
  static async start(url: string, more: Record<string, unknown> = {}): Promise<Pair> {
    const left = await TestClient.register(url, "left", more);
    return new Pair(left, await TestClient.register(url, "right", more));
  }

  #sendNext(): void {
    this.#sentAtMs.push(performance.now());
    this.#left.send({ target_id: "right", n: this.#sentAtMs.length - 1 });
  }

  /** The right one checks what comes, and sends it back. */
  async #echo(): Promise<void> {
    for (let expected = 0; !this.#isOver(expected); expected++) {
      const { from, n } = await nextFrom(this.#right, "left");
      assert.deepEqual([from, n], ["left", expected]);
      this.#right.send({ target_id: "left", n });
    }
  }

  async #check(): Promise<void> {
    while (!this.#isOver(this.#back)) {
      const { from, n } = await nextFrom(this.#left, "right");
      assert.deepEqual([from, n], ["right", this.#back]);
      this.#timesMs.push(performance.now() - this.#sentAtMs[this.#back]!);
      this.#back++;
      this.#onBack();
    }
  }

  #isOver(count: number): boolean {
    return this.#isEnding && count === this.#sentAtMs.length;
  }

  /** Resolves once this many more have made the round trip; rejects if one is lost. */
  async exchange(count: number): Promise<void> {
    const wanted = this.#back + count;
    const reached = new Promise<void>((resolve) => {
      this.#onBack = () => {
        if (this.#back >= wanted) resolve();
      };
    });
    await Promise.race([reached, this.#received]);
  }

  /** Ends the exchange with one last message; rejects if one was lost. */
  async finish(): Promise<PairTimes> {
    clearInterval(this.#timer);
    this.#isEnding = true;
    this.#sendNext();
    await this.#received;
    await Promise.all([this.#left.close(), this.#right.close()]);
    const times = this.#timesMs.toSorted((a, b) => a - b);
    return {
      messages: times.length,
      p99Ms: quantile(times, 0.99),
      slowestMs: Math.round(times.at(-1)!),
    };
  }
}

/** The next message, but for broadcasts of others. */
async function nextFrom(client: TestClient, peer: string): Promise<Record<string, unknown>> {
  while (true) {
    const message = await client.next();
    if (message.from === undefined || message.from === peer) return message;
  }
}
