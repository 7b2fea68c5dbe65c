/** Watches the memory of the process, so that it is given up in good order before the system takes it. */

import type { Clock } from "./clock.ts";

/** The runtime takes in a message without end as fast as it comes: from the same machine, 100 MB between two looks. */
const LOOK_EVERY_MS = 100;
/** The share of the limit above which nobody new is let in. */
const TIGHT_SHARE = 0.75;

export class MemoryWatch {
  readonly #clock: Clock;
  readonly #limitBytes: number;
  readonly #read: () => number;
  readonly #onExceeded: (bytes: number) => void;
  #cancelTimer = () => {};
  #isTight = false;

  /**
   * @param limitBytes of resident memory
   * @param read the resident memory, in bytes
   * @param onExceeded is called once, when the limit is passed
   */
  constructor(
    clock: Clock,
    limitBytes: number,
    read: () => number,
    onExceeded: (bytes: number) => void,
  ) {
    this.#clock = clock;
    this.#limitBytes = limitBytes;
    this.#read = read;
    this.#onExceeded = onExceeded;
    this.#look();
  }

  /** Whether there is too little left to let anybody in. */
  get isTight(): boolean {
    return this.#isTight;
  }

  stop(): void {
    this.#cancelTimer();
  }

  #look(): void {
    const bytes = this.#read();
    this.#isTight = bytes > this.#limitBytes * TIGHT_SHARE;
    if (bytes > this.#limitBytes) return this.#onExceeded(bytes);
    this.#cancelTimer = this.#clock.after(LOOK_EVERY_MS, () => this.#look());
  }
}
