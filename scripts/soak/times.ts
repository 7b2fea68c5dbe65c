/** Times by which something had happened for certain, on a server that takes its time, and takes longer if it failed. */

import { NODE_LIFETIME_MS } from "../../lib/cluster/scripts.ts";
import { type Failure, hits, type Journey, overlaps } from "./failure.ts";
import type { ConnectionRecord, MessageRecord } from "./ledger.ts";

/** Times that a server promises. Longer ones only excuse more. */
export interface Terms {
  /** Time for which it stores a message for a client that is not connected. */
  readonly mailboxTtlMs: number;
  /** Time in which the server notices that a connection has ended without a close frame. */
  readonly noticeMs: number;
  /** Time for which a message may be under way within the server: 0 if it is one node. */
  readonly transitMs: number;
}

/** Time after which a node without Redis gives up a message that it could not take back, in milliseconds. */
export const UNCONFIRMED_MS = 6000;

/** Time after a failure in which messages that it has held up are still on their way, in milliseconds. */
export const SETTLED_MS = 5000;

/** Time for which messages for a client that has moved wait for its former node, in milliseconds. */
export const FORMER_NODE_MS = 2500;

export class Times {
  readonly #terms: Terms;
  readonly #failures: readonly Failure[];

  constructor(terms: Terms, failures: readonly Failure[]) {
    this.#terms = terms;
    this.#failures = failures.map(lasting);
  }

  /** The failures of any of these nodes that fell into this time. */
  failuresOf(
    nodes: readonly { readonly url: string }[],
    startMs: number,
    endMs: number,
  ): readonly Failure[] {
    return this.#failures.filter((failure) =>
      overlaps(failure, startMs, endMs) && nodes.some((node) => hits(failure, node))
    );
  }

  /** Returns whether broadcasts may suffer that were under way from `startMs` to `endMs`: nodes settle after a failure. */
  isAroundFailure(startMs: number, endMs: number): boolean {
    return this.#failures.some(({ fromMs, untilMs, silentUntilMs = untilMs }) =>
      fromMs <= endMs && silentUntilMs + SETTLED_MS >= startMs
    );
  }

  /** Time at which it had reached a connection's node for certain. */
  arrivedByMs(
    { from, sentAtMs, takenAtMs }: MessageRecord,
    targets: readonly ConnectionRecord[],
  ): number {
    const { transitMs } = this.#terms;
    const byMs = takenAtMs + transitMs;
    const failures = this.failuresOf([from, ...targets], sentAtMs, byMs);
    return Math.max(byMs, ...failures.map(({ untilMs }) => untilMs + transitMs));
  }

  /** Time at which it was delivered, or its sender notified, or at which neither can happen any more. */
  decidedByMs(message: MessageRecord, targets: readonly ConnectionRecord[]): number {
    const arrivedByMs = this.arrivedByMs(message, targets);
    const expiredByMs = arrivedByMs + 2 * this.#terms.mailboxTtlMs;
    const failures = this.failuresOf([message.from], message.sentAtMs, expiredByMs);
    return failures.length === 0 ? expiredByMs : expiredByMs + UNCONFIRMED_MS;
  }

  /** Time at which the server had noticed for certain that a connection had ended. */
  noticedByMs(connection: ConnectionRecord): number {
    const { noticeMs } = this.#terms;
    const byMs = connection.endedAtMs + noticeMs;
    const failures = this.failuresOf([connection], connection.endedAtMs, byMs);
    return Math.max(byMs, ...failures.map(({ untilMs }) => untilMs + noticeMs));
  }

  journeyOf(message: MessageRecord): Journey {
    const { mailboxTtlMs, transitMs } = this.#terms;
    return { message, arrivedByMs: message.takenAtMs + transitMs, mailboxTtlMs };
  }
}

/** Returns a failure until its end was known: messages for the clients of a node that is killed are under way until then. */
function lasting(failure: Failure): Failure {
  if (failure.kind !== "death") return failure;
  return { ...failure, untilMs: failure.untilMs + NODE_LIFETIME_MS };
}
