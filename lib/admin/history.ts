/** Samples of the last ten minutes, one a second, which the admin page shows when it is opened. */

import type { Clock } from "../clock.ts";

const INTERVAL_MS = 1000;
const MAX_SAMPLES = 600;

/** A sample in JSON. Counters count from the start. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly time_ms: number;
  readonly connections: number;
  readonly clients: number;
  readonly kept_messages: number;
  readonly waiting_bytes: number;
  readonly memory_bytes: number;
  readonly cpu_seconds: number;
  /** Connections since the start, closed ones included. */
  readonly opened: number;
  readonly messages: number;
  readonly deliveries: number;
  readonly errors: number;
}

export class History {
  readonly #clock: Clock;
  readonly #take: () => Sample;
  readonly #samples: Sample[] = [];
  #taken = 0;
  #cancelTimer = () => {};

  /** Takes the first sample at once. */
  constructor(clock: Clock, take: () => Sample) {
    this.#clock = clock;
    this.#take = take;
    this.#tick();
  }

  #tick(): void {
    this.#samples.push(this.#take());
    this.#taken++;
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
    this.#cancelTimer = this.#clock.after(INTERVAL_MS, () => this.#tick());
  }

  /** The number of samples since the start, for the next call of {@link after}. */
  get taken(): number {
    return this.#taken;
  }

  /** Returns the samples after the first `taken` ones, as far as they are still stored. */
  after(taken: number): readonly Sample[] {
    const isOfAnother = taken > this.#taken; // the page has outlived a restart of the server
    const missing = isOfAnother ? this.#taken : this.#taken - taken;
    return missing === 0 ? [] : this.#samples.slice(-missing);
  }

  stop(): void {
    this.#cancelTimer();
  }
}
