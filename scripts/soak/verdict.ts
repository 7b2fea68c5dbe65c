/**
 * Judges a {@link Ledger}: every message is delivered once and in order, or its sender got an error, never both. These are
 * forgiven, as "What at most once costs" in cluster.md lists them, and nothing else:
 *
 * - a message is lost that was inside a connection, its sender's or its target's, which the server did not close;
 * - a message is lost that was sent or stored for a client of a node that is killed;
 * - a message is lost whose sender leaves before the other nodes know that its target's node was killed;
 * - a broadcast is lost while Redis is away, or reaches both connections of an ID that moves, or the old one alone;
 * - around a failure a broadcast misses a client, or overtakes other messages of its sender, or is overtaken;
 * - an error names a message that arrived before, if Redis was away for longer than 5 s;
 * - a client that moves overtakes what it sent over the connection before: each node delivers what it has once the target
 *   has come.
 */

import { type Failure, hits, mayBeReportedWrongly, mayTake, wasApart } from "./failure.ts";
import {
  type ConnectionRecord,
  type ErrorRecord,
  type Ledger,
  type MessageRecord,
  name,
  type ReceivedRecord,
} from "./ledger.ts";
import { FORMER_NODE_MS, SETTLED_MS, type Terms, Times } from "./times.ts";

export interface Verdict {
  readonly violations: readonly string[];
  readonly sent: number;
  /** Deliveries; a broadcast has many. */
  readonly delivered: number;
  /** Error notices by code. */
  readonly reported: ReadonlyMap<string, number>;
  /** Messages that were lost and may have been. */
  readonly excused: number;
}

/** Time for which a client may read nothing: what it got then is recorded later. In milliseconds. */
const STALL_MS = 2000;

/**
 * Judges when all is over: the last markers are back, and nothing waits in a mailbox any more.
 *
 * @param failures what was done to the server meanwhile
 */
export function judge(
  ledger: Ledger,
  terms: Terms,
  failures: readonly Failure[] = [],
): Verdict {
  const judgement = new Judgement(ledger, terms, failures);
  return {
    violations: [
      ...ledger.oddities,
      ...judgement.silences(),
      ...judgement.repeats(),
      ...judgement.losses(),
      ...judgement.disorder(),
    ],
    sent: ledger.messages.length,
    delivered: ledger.messages.reduce((sum, { deliveredTo }) => sum + deliveredTo.length, 0),
    reported: countBy(ledger.errors, ({ code }) => code),
    excused: judgement.excused,
  };
}

class Judgement {
  readonly #ledger: Ledger;
  readonly #terms: Terms;
  readonly #times: Times;
  readonly #failures: readonly Failure[];
  readonly #connectionsOf: ReadonlyMap<string, readonly ConnectionRecord[]>;
  /** The errors that a sender got about a target, in order; `""` for those that named none. */
  readonly #errorsAbout: ReadonlyMap<string, readonly ErrorRecord[]>;
  excused = 0;

  constructor(ledger: Ledger, terms: Terms, failures: readonly Failure[]) {
    this.#ledger = ledger;
    this.#terms = terms;
    this.#times = new Times(terms, failures);
    this.#failures = failures;
    this.#connectionsOf = Map.groupBy(ledger.connections, ({ id }) => id);
    this.#errorsAbout = Map.groupBy(
      ledger.errors,
      ({ at, target }) => pair(at.id, target ?? ""),
    );
  }

  /** Nodes that gave no answer, and had not failed. */
  *silences(): Generator<string> {
    for (const silence of this.#ledger.silences) {
      const { url, what, sinceMs, untilMs } = silence;
      const isExcused = this.#failures.some((failure) => {
        const { silentUntilMs = failure.untilMs } = failure;
        return hits(failure, silence) && failure.fromMs <= untilMs && silentUntilMs >= sinceMs;
      });
      if (!isExcused) yield `${url} did not answer ${what} for ${Math.round(untilMs - sinceMs)} ms`;
    }
  }

  /** Messages that a client got twice. */
  *repeats(): Generator<string> {
    for (const { message, at } of this.#ledger.repeats) {
      const others = this.#of(at.id).filter((other) =>
        other !== at && other.received.some((record) => record.message === message)
      );
      const isExcused = message.to === null && others.length === 1 &&
        this.#wasOnTwoNodes(message, others[0]!, at);
      if (!isExcused) yield `${at.id} got ${name(message)} twice`;
    }
  }

  /**
   * True if two connections of one ID could both get a broadcast. One is that of a node which could not know of the other, or
   * which is the sender's own. That node has delivered at once, and may not know yet that the ID had moved.
   */
  #wasOnTwoNodes(message: MessageRecord, one: ConnectionRecord, other: ConnectionRecord): boolean {
    const [older, newer] = one.startedAtMs < other.startedAtMs ? [one, other] : [other, one];
    if (older.url === newer.url) return false;
    const byMs = this.#times.arrivedByMs(message, [newer]);
    const isMoving = newer.startedAtMs <= byMs &&
      newer.registeredAtMs + this.#terms.transitMs >= message.sentAtMs;
    return isMoving && older.url === message.from.url ||
      this.#times.isAroundFailure(message.sentAtMs, byMs);
  }

  /** Messages that are lost for no reason, and errors for none. */
  *losses(): Generator<string> {
    const direct = this.#ledger.messages.filter(({ to }) => to !== null);
    for (const [key, messages] of Map.groupBy(direct, ({ from, to }) => pair(from.id, to!))) {
      const lost = messages.filter(({ deliveredTo }) => deliveredTo.length === 0);
      const inexcusable = lost.filter((message) => !this.#mayBeLost(message, message.to!));
      const reported = this.#errorsAbout.get(key)?.length ?? 0;
      this.excused += Math.max(0, lost.length - reported);
      yield* this.#baselessErrors(key, messages, lost);
      if (inexcusable.length > reported) {
        yield `${inexcusable.length} lost and ${reported} errors: ${
          name(inexcusable[0]!)
        } and others`;
      }
    }
    yield* this.#lostBroadcasts();
  }

  /** Errors about messages that arrived. If one may be wrong, it came after its message, and not before. */
  *#baselessErrors(
    key: string,
    messages: readonly MessageRecord[],
    lost: readonly MessageRecord[],
  ): Generator<string> {
    const doubtful = messages.filter((message) => this.#mayBeReportedWrongly(message));
    const sinceMs = [
      ...lost.map(({ sentAtMs }) => sentAtMs),
      ...doubtful.map(({ deliveredAtMs }) => deliveredAtMs - this.#terms.transitMs - STALL_MS),
    ].sort((one, other) => one - other);
    const errors = this.#errorsAbout.get(key) ?? [];
    const baseless = errors.findIndex(({ receivedAtMs }, n) =>
      !(receivedAtMs >= (sinceMs[n] ?? Infinity))
    );
    if (baseless === -1) return;
    yield `${errors.length} errors from ${key}, but only ${lost.length} messages did not arrive ` +
      `(and ${doubtful.length} may have been reported wrongly): number ${baseless} is baseless`;
  }

  #mayBeReportedWrongly(message: MessageRecord): boolean {
    return message.deliveredTo.length > 0 &&
      this.#failures.some((failure) =>
        mayBeReportedWrongly(
          failure,
          message,
          this.#times.decidedByMs(message, this.#of(message.to!)),
        )
      );
  }

  /** Broadcasts are not stored: only clients that were there all the time have to get them. */
  *#lostBroadcasts(): Generator<string> {
    const broadcasts = this.#ledger.messages.filter(({ to }) => to === null);
    for (const [from, messages] of Map.groupBy(broadcasts, ({ from }) => from.id)) {
      const refused = this.#errorsAbout.get(pair(from, ""))?.length ?? 0;
      for (const id of this.#connectionsOf.keys()) {
        const missing = messages.filter((message) =>
          id !== from && !message.deliveredTo.includes(id) && this.#wasThere(message, id) &&
          !this.#wasTaken(message, id) &&
          !this.#times.isAroundFailure(message.sentAtMs, message.takenAtMs)
        );
        if (missing.length <= refused) continue;
        yield `${id} missed ${missing.length} broadcasts, ${refused} were refused: ${
          name(missing[0]!)
        }`;
      }
    }
  }

  #mayBeLost(message: MessageRecord, target: string): boolean {
    if (message.takenAtMs === Infinity) return true; // its sender's connection ended first
    if (this.#wasTaken(message, target)) return true;
    if (this.#wasThere(message, target)) return false;
    const decidedByMs = this.#times.decidedByMs(message, this.#of(target));
    return !this.#couldBeNotified(message.from, decidedByMs) ||
      this.#endedWithIt(message, target, decidedByMs);
  }

  /** Returns whether a sender got all errors up to a time, on one connection or on those that resumed it. */
  #couldBeNotified(from: ConnectionRecord, untilMs: number): boolean {
    if (hasMarkerSince(from, untilMs)) return true;
    const own = this.#of(from.id);
    const next = own[own.indexOf(from) + 1];
    return from.closeCode !== null && next !== undefined && next.isResumed &&
      this.#couldBeNotified(next, untilMs);
  }

  #of(target: string): readonly ConnectionRecord[] {
    return this.#connectionsOf.get(target) ?? [];
  }

  /** Returns whether it ended with its sender's node. Those for clients of the same node had been delivered. */
  #wasTaken(message: MessageRecord, target: string): boolean {
    if (this.#failures.length === 0 || message.takenAtMs === Infinity) return false;
    const journey = this.#times.journeyOf(message);
    const connections = this.#of(target);
    if (connections.some((own) => own.url === message.from.url && this.#couldGet(message, own))) {
      return false;
    }
    return this.#failures.some((failure) => mayTake(failure, journey));
  }

  /** Returns whether one connection of the target was there before it was sent, and still read after it had arrived. */
  #wasThere(message: MessageRecord, target: string): boolean {
    if (message.takenAtMs === Infinity) return false;
    return this.#of(target).some((connection) => this.#couldGet(message, connection));
  }

  #couldGet(message: MessageRecord, connection: ConnectionRecord): boolean {
    const journey = this.#times.journeyOf(message);
    return connection.registeredAtMs <= message.sentAtMs &&
      hasMarkerSince(connection, this.#dueByMs(message, connection)) &&
      !this.#failures.some((failure) => wasApart(failure, journey, connection));
  }

  /**
   * Returns whether a connection of the target could have had it, and ended before it had certainly read it. One that the
   * server closed has got all that was sent there.
   */
  #endedWithIt(message: MessageRecord, target: string, untilMs: number): boolean {
    return this.#of(target).some((connection) => {
      const { startedAtMs, registeredAtMs, closeCode } = connection;
      const wasPossible = closeCode === null && startedAtMs <= untilMs &&
        this.#times.noticedByMs(connection) >= message.sentAtMs;
      const mustHaveReadAtMs = Math.max(this.#dueByMs(message, connection), registeredAtMs);
      return wasPossible && !hasMarkerSince(connection, mustHaveReadAtMs);
    });
  }

  /** Time at which a message had certainly been written to a connection of its target. */
  #dueByMs(message: MessageRecord, connection: ConnectionRecord): number {
    return Math.max(
      this.#times.arrivedByMs(message, [connection]),
      this.#readyAtMs(connection) + this.#terms.transitMs,
    );
  }

  /** Time at which messages for a connection wait no longer: one that comes from a node that fails waits for that node. */
  #readyAtMs({ id, startedAtMs, registeredAtMs }: ConnectionRecord): number {
    const earlier = this.#of(id).filter((other) => other.startedAtMs < startedAtMs);
    const isAwaiting = this.#times.failuresOf(earlier, startedAtMs, registeredAtMs).length > 0;
    return registeredAtMs + (isAwaiting ? FORMER_NODE_MS : 0);
  }

  /** Messages of one sender that one target got in another order than they were sent. */
  *disorder(): Generator<string> {
    for (const [id, connections] of this.#connectionsOf) {
      const each = connections.map(({ received }) => received);
      const direct = this.#spansOf(connections).map((received) =>
        received.filter(({ message }) => message.to !== null)
      );
      const all = [...each, ...direct];
      yield* new Set(all.flatMap((received) => [...this.#disorderOf(id, received)]));
    }
  }

  /**
   * Checks what an ID got over several connections, one after the other. Two connections at nodes that did not reach each other are
   * no sequence. Neither is a broadcast that reaches both connections of an ID that moves.
   */
  #spansOf(connections: readonly ConnectionRecord[]): ReceivedRecord[][] {
    const spans: ReceivedRecord[][] = [];
    let before: ConnectionRecord | null = null;
    for (const connection of connections) {
      const { startedAtMs, received } = connection;
      const endedAtMs = before?.endedAtMs ?? Infinity;
      const wereApart = startedAtMs < endedAtMs && (before === null ||
        this.#times.failuresOf([before, connection], startedAtMs, endedAtMs)
          .some(({ kind }) => kind === "cut"));
      if (wereApart) spans.push([...received]);
      else spans.at(-1)!.push(...received);
      before = connection;
    }
    return spans;
  }

  *#disorderOf(id: string, received: readonly ReceivedRecord[]): Generator<string> {
    const last = new Map<string, MessageRecord>();
    for (const record of received) {
      const { message } = record;
      const before = last.get(message.from.id);
      if (before && before.n > message.n && !this.#mayBeOvertaken(record, before, id)) {
        yield `${id} got ${name(message)} after ${name(before)}`;
      }
      last.set(message.from.id, message);
    }
  }

  /**
   * True if the sender had moved to another node. What is under way from the one it left may come a little later, or as late
   * as a failure makes it. What waits for the target at both nodes may come in either order.
   */
  #mayBeOvertaken(
    { message, receivedAtMs }: ReceivedRecord,
    before: MessageRecord,
    target: string,
  ): boolean {
    const hasBroadcast = message.to === null || before.to === null;
    if (hasBroadcast && this.#times.isAroundFailure(message.sentAtMs, receivedAtMs)) return true;
    const { from } = before;
    const nodes = [message.from, ...this.#of(target)];
    const failures = this.#times.failuresOf(nodes, message.sentAtMs, receivedAtMs);
    const at = this.#of(target).findLast(({ registeredAtMs }) => registeredAtMs <= receivedAtMs);
    const movedAtMs = Math.max(
      from.registeredAtMs,
      at === undefined ? 0 : this.#readyAtMs(at),
      ...failures.map(({ untilMs }) => untilMs + SETTLED_MS),
    );
    return message.from.url !== from.url && receivedAtMs <= movedAtMs + this.#terms.transitMs;
  }
}

function hasMarkerSince({ markers }: ConnectionRecord, sinceMs: number): boolean {
  const last = markers.at(-1);
  return last !== undefined && last.sentAtMs >= sinceMs;
}

function pair(from: string, to: string): string {
  return `${from} to ${to}`;
}

function countBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) {
    const key = keyOf(item);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}
