/** Tracks the bytes that wait to be written to one client, and drops a client that reads too slowly. */

import { Buffer } from "node:buffer";
import type { Clock } from "../clock.ts";
import { MAX_UTF8_BYTES_PER_UNIT } from "./vocabulary.ts";

/** The sending side of a WebSocket. */
export interface WritableSocket {
  readonly readyState: number;
  /** Bytes of UTF-8 that were sent and have not left the process; 0 if the socket is not open. */
  readonly bufferedAmount: number;
}

export interface SendBufferOptions {
  /** Upper bound for a client that does not read. */
  readonly maxBufferedBytes: number;
  /** Time after which a silent client is dropped, in milliseconds; 0: never. */
  readonly idleTimeoutMs: number;
}

/** The sum of the send buffers of all clients. */
export class BufferedTotal {
  #bytes = 0;

  /** @param maxBytes the bound above which no client may exceed its own limit */
  constructor(readonly maxBytes: number) {}

  get bytes(): number {
    return this.#bytes;
  }

  get isExceeded(): boolean {
    return this.#bytes > this.maxBytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }
}

/**
 * The time for which a client past the limit may read nothing, in milliseconds. Without it, a burst would drop a client
 * that does read. The runtime writes only between turns of the event loop, and a network takes a moment.
 */
const GRACE_MS = 100;
/** Upper bound for a client that reads, in multiples of the limit. One sender's burst has to fit. */
const MAX_BURST_LIMITS = 16;
/**
 * The time in which the buffer has to shrink, in idle timeouts. A client that is cut off may take half an idle timeout to
 * stall, and the check runs a little late. Within two idle timeouts the client is dropped.
 */
const MAX_STALLED = 1.25;

export class SendBuffer {
  readonly #socket: WritableSocket;
  readonly #options: SendBufferOptions;
  readonly #total: BufferedTotal;
  readonly #clock: Clock;
  readonly #onOverloaded: () => void;
  /** The size that the buffer would have if the client read nothing, while past the limit. */
  #unreadBytes = 0;
  /** Null while not past the limit. */
  #cancelTimer: (() => void) | null = null;
  /** Upper bound of the buffer. Asking the runtime before each message would cost more than the rest of the check. */
  #atMostBytes = 0;
  /** The size that the last check found. */
  #checkedBytes = 0;
  /** The time of the last check that found the buffer empty before, or smaller than before. */
  #stalledSinceMs = 0;
  /** True if the last check found the socket closing. */
  #isClosing = false;
  /** This client's part of the total. */
  #countedBytes = 0;

  /** @param onOverloaded drops the client; may be called again if the socket stays open */
  constructor(
    socket: WritableSocket,
    options: SendBufferOptions,
    total: BufferedTotal,
    clock: Clock,
    onOverloaded: () => void,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.#total = total;
    this.#clock = clock;
    this.#onOverloaded = onOverloaded;
  }

  /** Returns whether `text` may be sent, and counts it. Called before each message. */
  canSend(text: string): boolean {
    const { maxBufferedBytes } = this.#options;
    if (this.#atMostBytes > maxBufferedBytes) this.#atMostBytes = this.#socket.bufferedAmount;
    const bufferedBytes = this.#atMostBytes; // exact if it is over the limit
    this.#atMostBytes += MAX_UTF8_BYTES_PER_UNIT * text.length;
    if (bufferedBytes <= maxBufferedBytes) return true;
    const hasGrace = bufferedBytes <= MAX_BURST_LIMITS * maxBufferedBytes &&
      !this.#total.isExceeded;
    const bytes = Buffer.byteLength(text);
    this.#count(bufferedBytes + (hasGrace ? bytes : 0));
    if (!hasGrace) {
      this.#onOverloaded();
      return false;
    }
    if (this.#cancelTimer === null) this.#wait(bufferedBytes);
    this.#unreadBytes += bytes;
    return true;
  }

  /** Checks after the grace time whether the client has read something. */
  #wait(bufferedBytes: number): void {
    this.#unreadBytes = bufferedBytes;
    this.#cancelTimer = this.#clock.after(GRACE_MS, () => {
      this.#cancelTimer = null;
      const { bufferedAmount } = this.#socket;
      this.#count(bufferedAmount);
      if (bufferedAmount <= this.#options.maxBufferedBytes) return;
      if (bufferedAmount < this.#unreadBytes) this.#wait(bufferedAmount);
      else this.#onOverloaded();
    });
  }

  /**
   * Drops the client if the buffer has not shrunk for too long: the runtime's own idle timeout never ends while a write is
   * stuck. Called several times in each idle timeout.
   */
  checkStalled(): void {
    const { idleTimeoutMs } = this.#options;
    const { readyState, bufferedAmount } = this.#socket;
    if (readyState === WebSocket.OPEN) this.#count(bufferedAmount);
    if (idleTimeoutMs === 0) return;
    if (readyState === WebSocket.CLOSING) return this.#checkClosing();
    const nowMs = this.#clock.now();
    const isStalled = this.#checkedBytes > 0 && bufferedAmount >= this.#checkedBytes;
    this.#checkedBytes = bufferedAmount;
    if (!isStalled) this.#stalledSinceMs = nowMs;
    else if (nowMs - this.#stalledSinceMs >= idleTimeoutMs * MAX_STALLED) this.#onOverloaded();
  }

  /** Drops a client that is closing for the second time: if the close frame is stuck behind a write, no event ever comes. */
  #checkClosing(): void {
    if (this.#isClosing) this.#onOverloaded();
    this.#isClosing = true;
  }

  #count(bytes: number): void {
    this.#total.add(bytes - this.#countedBytes);
    this.#countedBytes = bytes;
  }

  /** Ends the timer. The buffer stays in memory, and in the total, until the socket has ended. */
  stop(): void {
    const { readyState, bufferedAmount } = this.#socket;
    if (readyState === WebSocket.OPEN) this.#count(bufferedAmount);
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  /** Takes the client out of the total once its socket has ended. */
  release(): void {
    this.stop();
    this.#count(0);
  }
}
