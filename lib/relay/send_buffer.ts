/** What waits for one client, and whether it is too much: the client reads too slowly, or not at all. */

import { Buffer } from "node:buffer";
import type { Clock } from "../clock.ts";
import { MAX_UTF8_BYTES_PER_UNIT } from "./vocabulary.ts";

/** What is looked at: the sending side of a WebSocket. */
export interface Outlet {
  readonly readyState: number;
  /** UTF-8 bytes that were sent and have not left the process; 0 once it is not open any more. */
  readonly bufferedAmount: number;
}

export interface BacklogOptions {
  /** What may wait for a client that does not read. */
  readonly maxBufferedBytes: number;
  /** A client that shows no sign of life for so long is to be dropped, at the latest after twice of it; 0: never. */
  readonly idleTimeoutMs: number;
}

/**
 * For so long a client past the limit may read nothing. Without it a burst would drop one that does read: nothing is
 * written before the event loop comes round, and a network takes a moment.
 */
const PATIENCE_MS = 100;
/** In limits: what may wait even for a client that reads. One sender's burst, 200 messages of 64 KiB, has room in it. */
const BURST_LIMITS = 16;
/**
 * In idle timeouts: for how long what waits may fail to shrink, however little it is. A client that is cut off may take
 * half an idle timeout to get stuck, and the look at it comes a little late: within two it is gone.
 */
const MAX_STUCK = 1.25;

export class Backlog {
  readonly #outlet: Outlet;
  readonly #options: BacklogOptions;
  readonly #clock: Clock;
  readonly #onTooMuch: () => void;
  /** Past the limit: what will wait in the end if the client reads nothing. */
  #unreadBytes = 0;
  /** Null while not past the limit. */
  #cancelTimer: (() => void) | null = null;
  /** No less than what waits: to ask the runtime before each frame would cost more than the rest of this. */
  #atMostBytes = 0;
  /** What waited at the last look. */
  #lookedAtBytes = 0;
  /** When what waits was last seen to shrink, or to begin. */
  #stuckSinceMs = 0;
  /** Whether the last look found the runtime closing. */
  #isEnding = false;

  /** @param onTooMuch the client is to be dropped; may be called again where it is not */
  constructor(outlet: Outlet, options: BacklogOptions, clock: Clock, onTooMuch: () => void) {
    this.#outlet = outlet;
    this.#options = options;
    this.#clock = clock;
    this.#onTooMuch = onTooMuch;
  }

  /** Whether `frame` may be sent. To be asked before each. */
  admits(frame: string): boolean {
    const { maxBufferedBytes } = this.#options;
    if (this.#atMostBytes > maxBufferedBytes) this.#atMostBytes = this.#outlet.bufferedAmount;
    const bufferedBytes = this.#atMostBytes; // exact where it is over the limit
    this.#atMostBytes += MAX_UTF8_BYTES_PER_UNIT * frame.length;
    if (bufferedBytes <= maxBufferedBytes) return true;
    if (bufferedBytes > BURST_LIMITS * maxBufferedBytes) {
      this.#onTooMuch();
      return false;
    }
    if (this.#cancelTimer === null) this.#wait(bufferedBytes);
    this.#unreadBytes += Buffer.byteLength(frame);
    return true;
  }

  /** Waits a moment, and then looks whether the client has read something. */
  #wait(bufferedBytes: number): void {
    this.#unreadBytes = bufferedBytes;
    this.#cancelTimer = this.#clock.after(PATIENCE_MS, () => {
      this.#cancelTimer = null;
      const { bufferedAmount } = this.#outlet;
      if (bufferedAmount <= this.#options.maxBufferedBytes) return;
      if (bufferedAmount < this.#unreadBytes) this.#wait(bufferedAmount);
      else this.#onTooMuch();
    });
  }

  /**
   * Looks whether what waits has not shrunk for too long: the runtime's own idle timeout never ends while a write is
   * stuck. To be called now and then, a good deal more often than the idle timeout.
   */
  look(): void {
    const { idleTimeoutMs } = this.#options;
    if (idleTimeoutMs === 0) return;
    const { readyState, bufferedAmount } = this.#outlet;
    if (readyState === WebSocket.CLOSING) return this.#lookAtEnding();
    const nowMs = this.#clock.now();
    const isStuck = this.#lookedAtBytes > 0 && bufferedAmount >= this.#lookedAtBytes;
    this.#lookedAtBytes = bufferedAmount;
    if (!isStuck) this.#stuckSinceMs = nowMs;
    else if (nowMs - this.#stuckSinceMs >= idleTimeoutMs * MAX_STUCK) this.#onTooMuch();
  }

  /** The runtime closes this socket; if its close frame is stuck behind a write, there will never be an event of it. */
  #lookAtEnding(): void {
    if (this.#isEnding) this.#onTooMuch();
    this.#isEnding = true;
  }

  /** Ends the waiting. */
  stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
}
