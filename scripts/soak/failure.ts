/** A failure of a cluster in the middle of a round, and the messages that it may have cost or delayed: no others. */

import type { ConnectionRecord, MessageRecord } from "./ledger.ts";

/** A failure of some nodes. Times are in milliseconds of the ledger's clock. */
export interface Failure {
  /**
   * - `death`: the nodes ended, between `fromMs` and `untilMs`.
   * - `delay`: what is under way at the nodes, or waits for them, may take until `untilMs`; nothing may be lost.
   * - `cut`: the nodes did not reach Redis, or it lost all that it knew; at `untilMs` all was known again.
   */
  readonly kind: "death" | "delay" | "cut";
  /** The nodes, by the addresses at which clients reach them. */
  readonly urls: readonly string[];
  readonly fromMs: number;
  readonly untilMs: number;
  /** End of the time in which the nodes may give no answer to clients, if that is not `untilMs`: they start again. */
  readonly silentUntilMs?: number;
}

/** Time for which Redis may be away before a node reports messages of which it does not know whether they arrived. */
const OUTAGE_MS = 5000;

/** Returns whether something that took from `startMs` to `endMs` fell into a failure. */
export function overlaps({ fromMs, untilMs }: Failure, startMs: number, endMs: number): boolean {
  return startMs <= untilMs && endMs >= fromMs;
}

/** Returns whether a failure was one of the node that a connection went to. */
export function hits({ urls }: Failure, { url }: { readonly url: string }): boolean {
  return urls.includes(url);
}

/** A message on its way, and how long one of its kind may be stored, in milliseconds. */
export interface Journey {
  readonly message: MessageRecord;
  /** Time at which it had reached the target's node for certain, had there been no failure. */
  readonly arrivedByMs: number;
  readonly mailboxTtlMs: number;
}

/** Returns whether the sender's node could not reach a connection's node when a message needed it. */
export function wasApart(
  failure: Failure,
  { message: { from, sentAtMs }, arrivedByMs }: Journey,
  target: ConnectionRecord,
): boolean {
  return failure.kind === "cut" && from.url !== target.url &&
    (hits(failure, from) || hits(failure, target)) && overlaps(failure, sentAtMs, arrivedByMs);
}

/** Returns whether a message ended with its sender's node, on its way or stored there. */
export function mayTake(
  failure: Failure,
  { message: { from, sentAtMs }, arrivedByMs, mailboxTtlMs }: Journey,
): boolean {
  return failure.kind === "death" && hits(failure, from) &&
    overlaps(failure, sentAtMs, arrivedByMs + mailboxTtlMs);
}

/** Returns whether the sender's node may not know that a message was delivered, and so report that it was not. */
export function mayBeReportedWrongly(
  failure: Failure,
  { from, sentAtMs }: MessageRecord,
  decidedByMs: number,
): boolean {
  return failure.kind === "cut" && failure.untilMs - failure.fromMs > OUTAGE_MS &&
    hits(failure, from) && overlaps(failure, sentAtMs, decidedByMs);
}
