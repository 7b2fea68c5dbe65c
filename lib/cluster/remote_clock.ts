/** What time it is on another machine, from answers to the question. */

import type { Clock } from "../clock.ts";

/** How fast two clocks may drift apart: between two answers a few seconds apart, with a lot of room. */
const DRIFT_MS = 1;

export class RemoteClock {
  readonly #clock: Clock;
  /** Their clock, in milliseconds since 1970, less ours. */
  #offsetMs: number;
  /** By how much that may be wrong. */
  #errorMs = 0;

  /** Until an answer proves the contrary, the machines are believed to agree on the time of day. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offsetMs = Date.now() - clock.now();
  }

  /** An answer to a question that was asked at `askedAtMs` of our clock. The faster it came, the more exact it is. */
  note(theirTimeMs: number, askedAtMs: number): void {
    const nowMs = this.#clock.now();
    const errorMs = (nowMs - askedAtMs) / 2;
    const offsetMs = theirTimeMs - (nowMs + askedAtMs) / 2;
    const hasBeenSet = Math.abs(offsetMs - this.#offsetMs) > this.#errorMs + errorMs + DRIFT_MS;
    this.#errorMs += DRIFT_MS;
    if (errorMs > this.#errorMs && !hasBeenSet) return;
    this.#offsetMs = offsetMs;
    this.#errorMs = errorMs;
  }

  /** In milliseconds since 1970. */
  now(): number {
    return Math.floor(this.#clock.now() + this.#offsetMs);
  }
}
