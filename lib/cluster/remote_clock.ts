/** Estimates the time of another machine from its answers. */

import type { Clock } from "../clock.ts";

/** Upper bound of the drift between two clocks from one answer to the next, in milliseconds. */
const DRIFT_MS = 1;

export class RemoteClock {
  readonly #clock: Clock;
  /** The other clock, in milliseconds since 1970, minus ours. */
  #offsetMs: number;
  /** Upper bound of the error of the offset. */
  #errorMs = 0;

  /** Assumes that both machines have the same time, until an answer proves otherwise. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offsetMs = Date.now() - clock.now();
  }

  /** Uses an answer to a request sent at `askedAtMs` of our clock. The faster the answer, the smaller its error. */
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

  /** Returns the time of the other machine, in milliseconds since 1970. */
  now(): number {
    return Math.floor(this.#clock.now() + this.#offsetMs);
  }
}
