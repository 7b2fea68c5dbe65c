/**
 * Judges a {@link Ledger}: every message is delivered once and in order, or its sender was told. It may be lost without a word
 * in one case alone: a connection ended with it inside, the target's or the sender's own (at most once, as PROTOCOL.md says).
 */

import { type ConnectionRecord, type Ledger, type MessageRecord, name } from "./ledger.ts";

/** How a server is known to behave. Without a mistake in it, a longer time only excuses more. */
export interface Terms {
  /** How long it keeps a message for somebody who is not there. */
  readonly mailboxTtlMs: number;
  /** How long it may take to notice that a connection has ended without a word. */
  readonly noticeMs: number;
  /** How long a message may be under way within the server: 0 where it is one node. */
  readonly transitMs: number;
}

export interface Verdict {
  readonly violations: readonly string[];
  readonly sent: number;
  /** Deliveries; a broadcast has many. */
  readonly delivered: number;
  /** Error frames by code. */
  readonly told: ReadonlyMap<string, number>;
  /** Messages that were lost and may have been. */
  readonly excused: number;
}

/** Judges when all is over: the last markers are back, and nothing waits in a mailbox any more. */
export function judge(ledger: Ledger, terms: Terms): Verdict {
  const judgement = new Judgement(ledger, terms);
  return {
    violations: [...ledger.oddities, ...judgement.losses(), ...judgement.disorder()],
    sent: ledger.messages.length,
    delivered: ledger.messages.reduce((sum, { deliveredTo }) => sum + deliveredTo.length, 0),
    told: countBy(ledger.errors, ({ code }) => code),
    excused: judgement.excused,
  };
}

class Judgement {
  readonly #ledger: Ledger;
  readonly #terms: Terms;
  readonly #connectionsOf: ReadonlyMap<string, readonly ConnectionRecord[]>;
  /** How many errors a sender got about a target; `""` for those that named none. */
  readonly #toldAbout: ReadonlyMap<string, number>;
  excused = 0;

  constructor(ledger: Ledger, terms: Terms) {
    this.#ledger = ledger;
    this.#terms = terms;
    this.#connectionsOf = Map.groupBy(ledger.connections, ({ id }) => id);
    this.#toldAbout = countBy(ledger.errors, ({ at, target }) => pair(at.id, target ?? ""));
  }

  /** Messages that are lost for no reason, and errors for none. */
  *losses(): Generator<string> {
    const direct = this.#ledger.messages.filter(({ to }) => to !== null);
    for (const [key, messages] of Map.groupBy(direct, ({ from, to }) => pair(from.id, to!))) {
      const lost = messages.filter(({ deliveredTo }) => deliveredTo.length === 0);
      const inexcusable = lost.filter((message) => !this.#mayBeLost(message, message.to!));
      const told = this.#toldAbout.get(key) ?? 0;
      this.excused += Math.max(0, lost.length - told);
      if (told > lost.length) {
        yield `${told} errors from ${key}, but only ${lost.length} messages did not arrive`;
      }
      if (inexcusable.length > told) {
        yield `${inexcusable.length} lost and ${told} errors: ${name(inexcusable[0]!)} and others`;
      }
    }
    yield* this.#lostBroadcasts();
  }

  /** Broadcasts are not kept: only who was there all the time has to get them. */
  *#lostBroadcasts(): Generator<string> {
    const broadcasts = this.#ledger.messages.filter(({ to }) => to === null);
    for (const [from, messages] of Map.groupBy(broadcasts, ({ from }) => from.id)) {
      const refused = this.#toldAbout.get(pair(from, "")) ?? 0;
      for (const id of this.#connectionsOf.keys()) {
        const missing = messages.filter((message) =>
          id !== from && !message.deliveredTo.includes(id) && this.#wasThere(message, id)
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
    if (this.#wasThere(message, target)) return false;
    const { mailboxTtlMs } = this.#terms;
    const expiredByMs = this.#arrivedByMs(message) + 2 * mailboxTtlMs;
    const wasHeard = hasMarkerSince(message.from, expiredByMs);
    return !wasHeard || this.#endedWithIt(message, target, expiredByMs);
  }

  /** When it had reached the target's node for certain. */
  #arrivedByMs({ takenAtMs }: MessageRecord): number {
    return takenAtMs + this.#terms.transitMs;
  }

  /** Whether one connection of the target was there before it was sent, and still read after it had arrived. */
  #wasThere(message: MessageRecord, target: string): boolean {
    if (message.takenAtMs === Infinity) return false;
    const connections = this.#connectionsOf.get(target) ?? [];
    return connections.some((connection) =>
      connection.registeredAtMs <= message.sentAtMs &&
      hasMarkerSince(connection, this.#arrivedByMs(message))
    );
  }

  /** Whether a connection of the target could have had it, and ended before it had certainly read it. */
  #endedWithIt(message: MessageRecord, target: string, untilMs: number): boolean {
    const connections = this.#connectionsOf.get(target) ?? [];
    return connections.some((connection) => {
      const { startedAtMs, registeredAtMs, endedAtMs } = connection;
      const wasPossible = startedAtMs <= untilMs &&
        endedAtMs + this.#terms.noticeMs >= message.sentAtMs;
      const mustHaveReadAtMs = Math.max(this.#arrivedByMs(message), registeredAtMs);
      return wasPossible && !hasMarkerSince(connection, mustHaveReadAtMs);
    });
  }

  /** Messages of one sender that one target got in another order than they were sent. */
  *disorder(): Generator<string> {
    for (const [id, connections] of this.#connectionsOf) {
      // From one node to another a client may get ahead of what was sent to it where it was before.
      const spans = this.#terms.transitMs === 0
        ? [connections.flatMap(({ received }) => received)]
        : connections.map(({ received }) => received);
      for (const received of spans) yield* disorderOf(id, received);
    }
  }
}

function* disorderOf(id: string, received: readonly MessageRecord[]): Generator<string> {
  const last = new Map<string, MessageRecord>();
  for (const message of received) {
    const before = last.get(message.from.id);
    if (before && before.n > message.n) yield `${id} got ${name(message)} after ${before.n}`;
    last.set(message.from.id, message);
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
