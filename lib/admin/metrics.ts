/** Counts what happens. Every message passes here, so all that is done is to add up. */

import type { Clock } from "../clock.ts";
import type { Event, Message } from "../events.ts";
import { Histogram } from "./histogram.ts";
import { CLOSE_CODES, ERROR_CODES, type ErrorCode } from "../relay/vocabulary.ts";

const KIB = 1024;
const MESSAGE_BYTES_BOUNDS = [
  ...[64, 128, 256, 512, KIB, 2 * KIB, 4 * KIB, 8 * KIB],
  ...[16 * KIB, 64 * KIB, 256 * KIB, KIB * KIB],
];
const RELAY_SECONDS_BOUNDS = [
  ...[0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005],
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
];

/** What the runtime gives for the code of a connection that ended without a close frame. */
const NO_CLOSE_FRAME = 0;
/** The code that stands for such an end (RFC 6455 section 7.4.1). */
const ABNORMAL_CLOSURE = 1006;
/** Codes that are counted by themselves; a client can close with any of thousands, so the others are one. */
const COUNTED_CLOSE_CODES = new Set<number>(
  [1000, 1001, 1002, 1005, ABNORMAL_CLOSURE, 1007, ...Object.values(CLOSE_CODES)],
);

export class Metrics {
  readonly #clock: Clock;
  #opened = 0;
  #direct = 0;
  #broadcasts = 0;
  #deliveries = 0;
  #failures = 0;
  readonly #errors = new Map<ErrorCode, number>(ERROR_CODES.map((code) => [code, 0]));
  readonly #closes = new Map<number | "other", number>(
    [...COUNTED_CLOSE_CODES, "other" as const].map((code) => [code, 0]),
  );
  readonly #refused = new Map<number, number>();
  /** Sizes of messages as they came, in UTF-8. */
  readonly messageBytes = new Histogram(MESSAGE_BYTES_BOUNDS);
  /** From the frame in to the last send. Kept messages are not in it: what they wait for is their target. */
  readonly relaySeconds = new Histogram(RELAY_SECONDS_BOUNDS);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Connections, whatever became of them. */
  get opened(): number {
    return this.#opened;
  }

  /** Messages for one client that were forwarded or kept. */
  get direct(): number {
    return this.#direct;
  }

  /** Messages for all. */
  get broadcasts(): number {
    return this.#broadcasts;
  }

  /** Messages as they were received: one for each client that got one. */
  get deliveries(): number {
    return this.#deliveries;
  }

  /** Error frames of all codes. */
  get failures(): number {
    return this.#failures;
  }

  /** Error frames; every code is there. */
  get errors(): ReadonlyMap<ErrorCode, number> {
    return this.#errors;
  }

  /**
   * Connections that have ended, by the code of whoever closed first, 1006 where nobody did. Those that the server closes
   * count when it does: one that does not read may stay for long.
   */
  get closes(): ReadonlyMap<number | "other", number> {
    return this.#closes;
  }

  /** HTTP statuses of refused upgrades, with how many were refused. */
  get refused(): ReadonlyMap<number, number> {
    return this.#refused;
  }

  observe(event: Event): void {
    switch (event.kind) {
      case "sent":
        this.#direct++;
        this.#deliveries++;
        return this.#observeMessage(event.message);
      case "broadcast":
        this.#broadcasts++;
        this.#deliveries += event.recipients;
        return this.#observeMessage(event.message);
      case "stored":
        this.#direct++;
        return this.messageBytes.observe(event.message.bytes);
      case "stored_delivered":
        this.#deliveries++;
        return;
      case "error_sent":
        this.#failures++;
        return increment(this.#errors, event.code);
      case "connection_opened":
        this.#opened++;
        return;
      case "connection_refused":
        return increment(this.#refused, event.status);
      case "closing":
        return increment(this.#closes, CLOSE_CODES[event.reason]);
      case "connection_closed":
        if (event.reason === null) this.#countClose(event.code); // else it was counted when the server closed it
        return;
    }
  }

  #observeMessage({ bytes, receivedAtMs }: Message): void {
    this.messageBytes.observe(bytes);
    this.relaySeconds.observe((this.#clock.now() - receivedAtMs) / 1000);
  }

  #countClose(code: number): void {
    const counted = code === NO_CLOSE_FRAME ? ABNORMAL_CLOSURE : code;
    increment(this.#closes, COUNTED_CLOSE_CODES.has(counted) ? counted : "other");
  }
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
