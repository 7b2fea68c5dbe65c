/** The clock, which tests replace, time limits and deadlines. */

export interface Clock {
  /** Milliseconds since a fixed moment; never goes back. */
  now(): number;
  /** Calls `callback` after `delayMs`. The returned function cancels that. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/**
 * Waits for a promise, at most `ms` milliseconds.
 *
 * @throws {Error} `late` when the time is over, and what the promise rejects with
 */
export async function within<Value>(
  ms: number,
  what: Promise<Value>,
  late: Error,
  clock = systemClock,
): Promise<Value> {
  const expired = Promise.withResolvers<never>();
  const cancel = clock.after(ms, () => expired.reject(late));
  try {
    return await Promise.race([what, expired.promise]);
  } finally {
    cancel();
  }
}

/**
 * Items that expire a fixed time after they were added. All share one timer, because the oldest is always the next to
 * expire.
 */
export class Deadlines<Item> {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #onDue: (item: Item) => void;
  readonly #dueAt = new Map<Item, number>();
  #cancelTimer: (() => void) | null = null;

  constructor(clock: Clock, delayMs: number, onDue: (item: Item) => void) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#dueAt.size;
  }

  /** Starts or restarts the time of `item`. */
  add(item: Item): void {
    this.#dueAt.delete(item); // moves it to the end
    this.#dueAt.set(item, this.#clock.now() + this.#delayMs);
    if (this.#cancelTimer === null) this.#arm(this.#delayMs);
  }

  /** Removes `item`; returns false if it was not there, or has expired. */
  delete(item: Item): boolean {
    const wasThere = this.#dueAt.delete(item);
    if (this.#dueAt.size === 0) this.#disarm();
    return wasThere;
  }

  /** Returns the time until `item` expires, in milliseconds; 0 if it is not there. */
  remainingMs(item: Item): number {
    return Math.max(0, (this.#dueAt.get(item) ?? 0) - this.#clock.now());
  }

  /** Removes and returns the item that was added first; undefined if there is none. */
  takeOldest(): Item | undefined {
    const [oldest] = this.#dueAt.keys();
    if (oldest !== undefined) this.delete(oldest);
    return oldest;
  }

  /** Expires all items now. */
  runAll(): void {
    const items = [...this.#dueAt.keys()];
    this.clear();
    for (const item of items) this.#onDue(item);
  }

  /** Removes all items. */
  clear(): void {
    this.#dueAt.clear();
    this.#disarm();
  }

  #arm(delayMs: number): void {
    this.#cancelTimer = this.#clock.after(delayMs, () => this.#run());
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #run(): void {
    this.#cancelTimer = null;
    const now = this.#clock.now();
    for (const [item, dueAt] of this.#dueAt) {
      if (dueAt > now) {
        this.#disarm(); // #onDue may have added something, and armed
        return this.#arm(dueAt - now);
      }
      this.#dueAt.delete(item);
      this.#onDue(item);
    }
  }
}

/** Items that expire after a few different times. */
export class VariedDeadlines<Item> {
  readonly #clock: Clock;
  readonly #onDue: (item: Item) => void;
  readonly #byDelay = new Map<number, Deadlines<Item>>();

  constructor(clock: Clock, onDue: (item: Item) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  get size(): number {
    let size = 0;
    for (const deadlines of this.#byDelay.values()) size += deadlines.size;
    return size;
  }

  /** Starts the time of `item`. There must be few different delays, because each takes memory for good. */
  add(item: Item, delayMs: number): void {
    let deadlines = this.#byDelay.get(delayMs);
    if (deadlines === undefined) {
      deadlines = new Deadlines(this.#clock, delayMs, this.#onDue);
      this.#byDelay.set(delayMs, deadlines);
    }
    deadlines.add(item);
  }

  delete(item: Item): boolean {
    for (const deadlines of this.#byDelay.values()) if (deadlines.delete(item)) return true;
    return false;
  }

  /** Expires all items now. */
  runAll(): void {
    for (const deadlines of this.#byDelay.values()) deadlines.runAll();
  }

  clear(): void {
    for (const deadlines of this.#byDelay.values()) deadlines.clear();
  }
}
