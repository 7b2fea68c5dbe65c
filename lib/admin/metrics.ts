/** Counts what happens. Every message passes here, so all that is done is to add up. */

import type { Clock } from "../clock.ts";
import type { ClientInfo, Events, Message } from "../events.ts";
import { Histogram } from "./histogram.ts";
import { CLOSE_CODES, type CloseReason, ERROR_CODES, type ErrorCode } from "../relay/vocabulary.ts";

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

export class Metrics implements Events {
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

  connected(): void {
    this.#opened++;
  }

  sent(_from: ClientInfo, _targetId: string, message: Message): void {
    this.#direct++;
    this.#deliveries++;
    this.#observe(message);
  }

  broadcast(_from: ClientInfo, recipients: number, message: Message): void {
    this.#broadcasts++;
    this.#deliveries += recipients;
    this.#observe(message);
  }

  kept(_from: ClientInfo, _targetId: string, message: Message): void {
    this.#direct++;
    this.messageBytes.observe(message.bytes);
  }

  keptDelivered(): void {
    this.#deliveries++;
  }

  #observe({ bytes, receivedAtMs }: Message): void {
    this.messageBytes.observe(bytes);
    this.relaySeconds.observe((this.#clock.now() - receivedAtMs) / 1000);
  }

  failed(code: ErrorCode): void {
    this.#failures++;
    increment(this.#errors, code);
  }

  closing(reason: CloseReason): void {
    increment(this.#closes, CLOSE_CODES[reason]);
  }

  disconnected(_address: string, code: number, reason: CloseReason | null): void {
    if (reason !== null) return; // it was counted when the server closed it
    const counted = code === NO_CLOSE_FRAME ? ABNORMAL_CLOSURE : code;
    increment(this.#closes, COUNTED_CLOSE_CODES.has(counted) ? counted : "other");
  }

  registered(): void {}
  held(): void {}
  unregistered(): void {}
  clusterJoined(): void {}
  clusterLost(): void {}
  listenerFailed(): void {}
  crashed(): void {}
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
