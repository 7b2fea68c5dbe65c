/** Limits of the process: its memory, and how many files it may open. */

import type { Clock } from "./clock.ts";

/** Interval of the watch, in milliseconds. A client on the same machine can fill 100 MB in this time. */
const CHECK_INTERVAL_MS = 100;
/** Share of the limit above which new connections are refused. */
const TIGHT_SHARE = 0.75;

/** Watches the memory of the process, so that it shuts down in good order before the system kills it. */
export class MemoryWatch {
  readonly #clock: Clock;
  readonly #limitBytes: number;
  readonly #read: () => number;
  readonly #onExceeded: (bytes: number) => void;
  #cancelTimer = () => {};
  #isTight = false;

  /**
   * @param limitBytes of resident memory
   * @param read returns the resident memory, in bytes
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
    this.#check();
  }

  /** Whether too little memory is left for new connections. */
  get isTight(): boolean {
    return this.#isTight;
  }

  stop(): void {
    this.#cancelTimer();
  }

  #check(): void {
    const bytes = this.#read();
    this.#isTight = bytes > this.#limitBytes * TIGHT_SHARE;
    if (bytes > this.#limitBytes) return this.#onExceeded(bytes);
    this.#cancelTimer = this.#clock.after(CHECK_INTERVAL_MS, () => this.#check());
  }
}

/** Files that the process needs beside its connections: listeners, Redis, and connections that it refuses. */
const SPARE_FILES = 64;
/** Bound of the search, which would take too long beyond. */
const MAX_PROBED_FILES = 20_000;

/**
 * Finds the limit of open files by opening one file again and again, because the runtime does not tell it. To be called
 * before other files are opened.
 *
 * @returns the limit if it is below what `connections` of them need, else null
 */
export function findFileLimit(connections: number, open: () => Disposable): number | null {
  const needed = Math.min(connections + SPARE_FILES, MAX_PROBED_FILES);
  const files: Disposable[] = [];
  try {
    while (files.length < needed) files.push(open());
    return null;
  } catch {
    return files.length || null; // not even one: the reason is another, such as an unreadable executable
  } finally {
    for (const file of files) file[Symbol.dispose]();
  }
}
