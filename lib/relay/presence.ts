/**
 * Notifies the watchers of a room of joins and leaves. A room has one log of changes, and each watcher a position in it.
 * A watcher gets the net effect of the changes from its position on.
 */

import type { Clock } from "../clock.ts";
import type { Session } from "./session.ts";
import type { Notice } from "./vocabulary.ts";

export type Change = "joined" | "left";

/**
 * Upper bound of the notices sent in one turn of the event loop. When n clients join at once, they get n² notices, and no
 * other client may have to wait for all of them.
 */
const NOTICES_PER_TURN = 500;
/** The time between two notices to a watcher that asked for batches, in milliseconds. */
const BATCH_INTERVAL_MS = 100;
/**
 * The length of a room's log past which each watcher gets all of its changes at once. Otherwise the log could grow faster
 * than it shrinks.
 */
const MAX_LOGGED_CHANGES = 10_000;
/** The number of changes whose net effect takes as long to find as one notice takes to send. */
const CHANGES_PER_NOTICE = 20;

/** A watcher is notified of each change by itself, or of several together. */
type Kind = "single" | "batched";

interface Watcher {
  readonly session: Session;
  readonly kind: Kind;
  /** The number of the first change that it has not been notified of. */
  position: number;
}

interface LoggedChange {
  readonly number: number;
  readonly change: Change;
  readonly id: string;
}

/** The net effect of some changes. An ID in both lists has left and joined again. */
interface Net {
  readonly ids: ReadonlySet<string>;
  readonly left: readonly string[];
  readonly joined: readonly string[];
}

class WatchedRoom {
  readonly watchers = {
    single: new Map<Session, Watcher>(),
    batched: new Map<Session, Watcher>(),
  };
  /** Null for a change that was announced ahead of its turn. */
  readonly #changes: (LoggedChange | null)[] = [];
  /** The number of the first change that is still in the log. */
  #start = 0;
  /** The number of the last join of each ID in the log. */
  readonly #joins = new Map<string, number>();
  /** Net effects from a position to {@link WatchedRoom.#netsEnd}: most watchers are at the same one. */
  readonly #nets = new Map<number, Net>();
  #netsEnd = 0;

  get end(): number {
    return this.#start + this.#changes.length;
  }

  get size(): number {
    return this.#changes.length;
  }

  get isWatched(): boolean {
    return this.watchers.single.size + this.watchers.batched.size > 0;
  }

  add(change: Change, id: string): void {
    const number = this.end;
    if (change === "joined") this.#joins.set(id, number);
    this.#changes.push({ number, change, id });
  }

  lastJoin(id: string): number | undefined {
    return this.#joins.get(id);
  }

  changesOf(id: string): LoggedChange[] {
    return this.#changes.filter((change) => change?.id === id) as LoggedChange[];
  }

  /** Takes out changes that every watcher has been notified of ahead of their turn. */
  take(changes: readonly LoggedChange[]): void {
    this.#nets.clear();
    for (const { number, id } of changes) {
      this.#changes[number - this.#start] = null;
      if (this.#joins.get(id) === number) this.#joins.delete(id);
    }
  }

  /** Forgets the changes that every watcher has been notified of. */
  trim(): void {
    let first = this.end;
    for (const watchers of Object.values(this.watchers)) {
      for (const { position } of watchers.values()) first = Math.min(first, position);
    }
    for (const change of this.#changes.splice(0, first - this.#start)) {
      if (change !== null && this.#joins.get(change.id)! < first) this.#joins.delete(change.id);
    }
    this.#start = first;
  }

  hasNet(from: number, to: number): boolean {
    return to === this.#netsEnd && this.#nets.has(from);
  }

  /** Returns the end of the known net effect from a position on; the end of the log if none is known, or a short one. */
  knownEnd(from: number): number {
    const isLong = this.#netsEnd - from > MAX_LOGGED_CHANGES;
    return isLong && this.#nets.has(from) ? this.#netsEnd : this.end;
  }

  net(from: number, to: number): Net {
    if (to !== this.#netsEnd) this.#nets.clear();
    this.#netsEnd = to;
    let net = this.#nets.get(from);
    if (net === undefined) {
      const changes = this.#changes.slice(from - this.#start, to - this.#start);
      this.#nets.set(from, net = netOf(changes));
    }
    return net;
  }
}

function netOf(changes: readonly (LoggedChange | null)[]): Net {
  const first = new Map<string, Change>();
  const last = new Map<string, Change>();
  for (const logged of changes) {
    if (logged === null) continue;
    const { change, id } = logged;
    if (!first.has(id)) first.set(id, change);
    last.set(id, change);
  }
  const ids = new Set(first.keys());
  return {
    ids,
    left: [...ids].filter((id) => first.get(id) === "left"),
    joined: [...ids].filter((id) => last.get(id) === "joined"),
  };
}

export class Presence {
  readonly #clock: Clock;
  readonly #rooms = new Map<string, WatchedRoom>();
  /** Rooms with changes that a watcher of single changes, or of batches, has not been notified of. */
  readonly #pending = { single: new Set<WatchedRoom>(), batched: new Set<WatchedRoom>() };
  #budget = NOTICES_PER_TURN;
  #isNotifying = false;
  #cancelTurn: (() => void) | null = null;
  #cancelBatch: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notifies a session of every change from now on. */
  watch(session: Session, isBatched: boolean): void {
    this.unwatch(session);
    const room = this.#rooms.get(session.room.name) ?? new WatchedRoom();
    this.#rooms.set(session.room.name, room);
    const kind = isBatched ? "batched" : "single";
    room.watchers[kind].set(session, { session, kind, position: room.end });
  }

  unwatch(session: Session): void {
    const room = this.#rooms.get(session.room.name);
    if (room === undefined) return;
    const { single, batched } = room.watchers;
    const wasWatching = single.delete(session) || batched.delete(session);
    if (!wasWatching || room.isWatched) return;
    this.#rooms.delete(session.room.name);
    this.#pending.single.delete(room);
    this.#pending.batched.delete(room);
  }

  /** Logs a change, and notifies the watchers of single changes within the budget of this turn. */
  announce(roomName: string, change: Change, id: string): void {
    const room = this.#rooms.get(roomName);
    if (room === undefined) return;
    room.add(change, id);
    for (const kind of ["single", "batched"] as const) {
      if (room.watchers[kind].size > 0) this.#pending[kind].add(room);
    }
    // A notice that has dropped its client announces that from within #notify(): it waits for the next turn.
    if (!this.#isNotifying) this.#flushRoom(room, "single", this.#budget);
    this.#schedule();
  }

  /** Announces a sender to the receiver of its message, or to all of its room, if its join is still pending. */
  flushBefore(roomName: string, senderId: string, receiver?: Session): void {
    if (this.#pending.single.size + this.#pending.batched.size === 0) return;
    const room = this.#rooms.get(roomName);
    const join = room?.lastJoin(senderId);
    if (room === undefined || join === undefined) return;
    if (receiver === undefined) return this.#announceToAll(room, senderId, join);
    const { single, batched } = room.watchers;
    const watcher = single.get(receiver) ?? batched.get(receiver);
    if (watcher !== undefined && watcher.position <= join) this.#flush(room, watcher, room.end);
  }

  /**
   * Announces one ID to all watchers. Watchers of single changes are not notified of earlier changes, which may be as
   * many as there are pairs in the room.
   */
  #announceToAll(room: WatchedRoom, id: string, join: number): void {
    const { end } = room;
    const changes = room.changesOf(id);
    for (const watcher of room.watchers.single.values()) {
      const isDue = ({ number }: LoggedChange) => number >= watcher.position;
      if (watcher.position <= join) this.#notify(watcher, netOf(changes.filter(isDue)));
    }
    for (const watcher of room.watchers.batched.values()) {
      if (watcher.position <= join) this.#flush(room, watcher, end);
    }
    room.take(changes);
    this.#schedule();
  }

  /** Ends all notifications. */
  stop(): void {
    this.#rooms.clear();
    this.#cancelTurn?.();
    this.#cancelBatch?.();
  }

  /** Schedules the rest for the next turn of the event loop, and the batches for the end of their interval. */
  #schedule(): void {
    const { single, batched } = this.#pending;
    if (single.size > 0 || this.#budget < NOTICES_PER_TURN) {
      this.#cancelTurn ??= this.#clock.after(0, () => {
        this.#cancelTurn = null;
        this.#budget = NOTICES_PER_TURN;
        for (const room of [...single]) this.#flushRoom(room, "single", this.#budget);
        this.#schedule();
      });
    }
    if (batched.size === 0) return;
    this.#cancelBatch ??= this.#clock.after(BATCH_INTERVAL_MS, () => {
      this.#cancelBatch = null;
      for (const room of [...batched]) this.#flushRoom(room, "batched", Infinity);
      this.#schedule();
    });
  }

  /** Notifies the watchers of a kind with about `limit` notices, beginning with the one that has waited longest. */
  #flushRoom(room: WatchedRoom, kind: Kind, limit: number): void {
    const pending = this.#pending[kind];
    if (limit <= 0 || !pending.has(room)) return;
    const watchers = room.watchers[kind];
    const isOverfull = room.size > MAX_LOGGED_CHANGES;
    const [first] = watchers.values();
    // Each dropped watcher extends the log; to find the net effect again for each of the others would take too long.
    const end = isOverfull && first !== undefined ? room.knownEnd(first.position) : room.end;
    const done: Watcher[] = [];
    let left = limit;
    let isDone = true;
    for (const watcher of watchers.values()) {
      if (left > 0) left -= this.#flush(room, watcher, end, isOverfull ? Infinity : left);
      isDone = watcher.position >= end;
      if (!isDone) break;
      done.push(watcher);
    }
    for (const watcher of isDone ? [] : done) {
      if (watchers.delete(watcher.session)) watchers.set(watcher.session, watcher);
    }
    room.trim();
    pending.delete(room);
    // A notice that drops its client logs another change. The next turn begins with another room.
    if (!isDone || room.end !== end) pending.add(room);
  }

  /** Notifies a watcher of its changes before `end`, `limit` at the most. Returns what that cost, in notices. */
  #flush(room: WatchedRoom, watcher: Watcher, end: number, limit = Infinity): number {
    const { position } = watcher;
    const to = Math.min(end, position + limit);
    if (position >= to) return 0;
    watcher.position = to;
    const searchCost = room.hasNet(position, to)
      ? 0
      : Math.floor((to - position) / CHANGES_PER_NOTICE);
    this.#budget -= searchCost;
    return searchCost + this.#notify(watcher, room.net(position, to));
  }

  /** Notifies a watcher, until a notice drops it. Returns the number of notices. */
  #notify({ session, kind }: Watcher, net: Net): number {
    const wasNotifying = this.#isNotifying;
    this.#isNotifying = true;
    let count = 0;
    for (const notice of noticesOf(net, session.id, kind)) {
      count++;
      if (!session.connection?.notify(notice)) break;
    }
    this.#isNotifying = wasNotifying;
    this.#budget -= count;
    return count;
  }
}

function noticesOf(net: Net, ownId: string, kind: Kind): Notice[] {
  const isOther = (id: string) => id !== ownId;
  const { left, joined } = !net.ids.has(ownId)
    ? net
    : { left: net.left.filter(isOther), joined: net.joined.filter(isOther) };
  if (kind === "batched") {
    return left.length + joined.length === 0 ? [] : [{ kind: "peers_changed", left, joined }];
  }
  return [
    ...left.map((clientId) => ({ kind: "peer_left", clientId }) as const),
    ...joined.map((clientId) => ({ kind: "peer_joined", clientId }) as const),
  ];
}
