/** A clock that stands still until a test moves it. */

import type { Clock } from "../../lib/clock.ts";

interface Timer {
  readonly dueAtMs: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<Timer>();
  #onTimer = () => {};

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueAtMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    this.#onTimer();
    return () => this.#timers.delete(timer);
  }

  /** The number of pending timers. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Resolves once a timer waits. */
  async armed(): Promise<void> {
    if (this.pending === 0) await new Promise<void>((resolve) => this.#onTimer = resolve);
  }

  /** Lets time pass, and calls the timers that expire in it, in order. */
  advance(ms: number): void {
    const end = this.#nowMs + ms;
    for (let timer = this.#next(end); timer; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#nowMs = timer.dueAtMs;
      timer.callback();
    }
    this.#nowMs = end;
  }

  #next(end: number): Timer | undefined {
    const due = [...this.#timers].filter((timer) => timer.dueAtMs <= end);
    return due.sort((a, b) => a.dueAtMs - b.dueAtMs)[0];
  }
}
