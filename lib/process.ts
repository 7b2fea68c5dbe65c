/** The process and its machine: memory, open files, permissions, and the network address. */

import process from "node:process";
import type { Clock } from "./clock.ts";

/** Interval of the watch, in milliseconds. A client on the same machine can fill 100 MB in this time. */
const CHECK_INTERVAL_MS = 100;
/** Share of the limit above which new connections are refused. */
const TIGHT_SHARE = 0.75;
/** Share of the limit by which memory has to grow to count as growing. */
const GROWTH_SHARE = 0.01;
/** The time without growth after which memory counts as reusable, in milliseconds. */
const STEADY_MS = 3000;
/** Intervals of garbage collections above the share and above the limit, in milliseconds. Each stops the process for a moment. */
const COLLECT_INTERVAL_MS = { tight: 5000, exceeded: 1000 } as const;

/** Memory of the process, as `Deno.memoryUsage()` reports it, in bytes. */
export interface MemoryUsage {
  readonly rss: number;
  readonly heapTotal: number;
  readonly heapUsed: number;
  readonly external: number;
}

interface MemoryProbe {
  usage(): MemoryUsage;
  /** Collects garbage, if the runtime offers that. */
  collect(): void;
  /** Estimate of the memory that connections hold outside of the heap, in bytes. */
  heldBytes(): number;
}

/**
 * Watches the memory of the process, so that it shuts down in good order before the system kills it.
 *
 * Garbage does not count, because it is collected first. Free memory that the allocator retains cannot be distinguished from
 * memory in use. So above the share, memory counts as in use while it grows, or if its known part alone is above the share.
 * Otherwise the allocator can use it again.
 */
export class MemoryWatch {
  readonly #clock: Clock;
  readonly #limitBytes: number;
  readonly #probe: MemoryProbe;
  readonly #onExceeded: (bytes: number) => void;
  #cancelTimer = () => {};
  #isTight = false;
  #collectedAtMs = -Infinity;
  /** The memory, updated when it has changed by {@link GROWTH_SHARE}. */
  #levelBytes = 0;
  #grewAtMs = -Infinity;

  /** @param onExceeded is called once, when memory exceeds the limit */
  constructor(
    clock: Clock,
    limitBytes: number,
    probe: MemoryProbe,
    onExceeded: (bytes: number) => void,
  ) {
    this.#clock = clock;
    this.#limitBytes = limitBytes;
    this.#probe = probe;
    this.#onExceeded = onExceeded;
    this.#check();
  }

  /** True while too little memory is left for new connections. */
  get isTight(): boolean {
    return this.#isTight;
  }

  stop(): void {
    this.#cancelTimer();
  }

  #check(): void {
    const tightBytes = this.#limitBytes * TIGHT_SHARE;
    const { bytes, knownBytes } = this.#measure(tightBytes);
    if (bytes > this.#limitBytes) {
      this.#isTight = true;
      return this.#onExceeded(bytes);
    }
    this.#isTight = this.#isGrowing(bytes) ? bytes > tightBytes : knownBytes > tightBytes;
    this.#cancelTimer = this.#clock.after(CHECK_INTERVAL_MS, () => this.#check());
  }

  /** Measures without the free part of the heap; if it is much, without garbage too. */
  #measure(tightBytes: number) {
    const usage = this.#probe.usage();
    let { heapUsed } = usage;
    const outsideBytes = usage.rss - usage.heapTotal;
    if (this.#mayCollect(outsideBytes + heapUsed, tightBytes)) {
      this.#collectedAtMs = this.#clock.now();
      this.#probe.collect();
      heapUsed = this.#probe.usage().heapUsed; // the other numbers follow only later
    }
    const bytes = outsideBytes + heapUsed;
    const isMuch = bytes > tightBytes;
    const knownBytes = isMuch ? heapUsed + usage.external + this.#probe.heldBytes() : 0;
    return { bytes, knownBytes: Math.min(bytes, knownBytes) };
  }

  #mayCollect(bytes: number, tightBytes: number): boolean {
    if (bytes <= tightBytes) return false;
    const { tight, exceeded } = COLLECT_INTERVAL_MS;
    const intervalMs = bytes > this.#limitBytes ? exceeded : tight;
    return this.#clock.now() - this.#collectedAtMs >= intervalMs;
  }

  #isGrowing(bytes: number): boolean {
    const nowMs = this.#clock.now();
    const stepBytes = this.#limitBytes * GROWTH_SHARE;
    if (bytes > this.#levelBytes + stepBytes) {
      this.#levelBytes = bytes;
      this.#grewAtMs = nowMs;
    } else if (bytes < this.#levelBytes - stepBytes) {
      this.#levelBytes = bytes;
    }
    return nowMs - this.#grewAtMs < STEADY_MS;
  }
}

/** Files that the process needs beside its connections: listeners, Redis, and connections that it refuses. */
const SPARE_FILES = 64;
/** Upper bound of the search, in files. */
const MAX_PROBED_FILES = 20_000;

/**
 * Finds the limit of open files by opening one file many times, because the runtime has no other way. Must be called before
 * other files are opened.
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
    return files.length || null; // 0: the reason is another, such as an unreadable executable
  } finally {
    for (const file of files) file[Symbol.dispose]();
  }
}

/** Memory that the process can use, in bytes: the machine's, or the limit of its control group if that is lower. */
export function usableMemoryBytes(): number {
  try {
    const machineBytes = Deno.systemMemoryInfo().total;
    const limitBytes = process.constrainedMemory?.() || machineBytes; // Deno 2.4 does not have it
    return Math.min(machineBytes, limitBytes);
  } catch {
    return Infinity; // without the permission there is no default limit
  }
}

/** The machine's address in its network; null if it has none, or it cannot be found. */
export function networkAddress(): string | null {
  try {
    const addresses = Deno.networkInterfaces().filter(({ family }) => family === "IPv4")
      .map(({ address }) => address);
    return addresses.find((address) => !/^(127|169\.254)\./.test(address)) ?? null;
  } catch {
    return null;
  }
}

/**
 * Revokes the permissions that only the start needs: the environment, facts about the machine, and files.
 *
 * @param keepsReading true if certificates are read again later; the runtime cannot narrow this to their files
 */
export function dropPermissions(keepsReading: boolean): void {
  // The Redis client reads variables whenever it connects; without this it would fail then.
  Object.defineProperty(process, "env", { value: {}, configurable: true });
  Deno.permissions.revokeSync({ name: "env" });
  Deno.permissions.revokeSync({ name: "sys" });
  if (!keepsReading) Deno.permissions.revokeSync({ name: "read" });
}
