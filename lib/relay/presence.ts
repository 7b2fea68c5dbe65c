/**
 * Notifies the watchers of a room of who joins and who leaves. A room has one log of changes, and each watcher a position
 * in it; what lies behind the position is delivered as its net effect.
 */

import type { Clock } from "../clock.ts";
import type { Session } from "./session.ts";
import type { Notice } from "./vocabulary.ts";

export type Change = "joined" | "left";

/**
 * Upper bound of the notices sent in one turn of the event loop. Each of n clients that join at once is announced to
 * the others, with n² notices, and nobody else may have to wait for them.
 */
const NOTICES_PER_TURN = 500;
/** The time between two notices to a watcher that asked for batches, in milliseconds. */
const BATCH_INTERVAL_MS = 100;
/** Upper bound of the changes that a room's log holds; past it, every watcher is notified at once. */
const MAX_LOGGED_CHANGES = 10_000;

interface Watcher {
  readonly session: Session;
  readonly isBatched: boolean;
  /** The number of the first change that it has not been notified of. */
  position: number;
}

/** The net effect of some changes. An ID in both lists has left and joined again. */
interface Net {
  readonly ids: ReadonlySet<string>;
  readonly left: readonly string[];
  readonly joined: readonly string[];
}

class WatchedRoom {
  readonly watchers = new Map<Session, Watcher>();
  readonly #changes: { readonly change: Change; readonly id: string }[] = [];
  /** The number of the first change that is still in the log. */
  #start = 0;
  /** The number of the last join of each ID in the log. */
  readonly joins = new Map<string, number>();
  /** Net effects from a position to the end: most watchers are at the same one. */
  readonly #nets = new Map<number, Net>();

  get end(): number {
    return this.#start + this.#changes.length;
  }

  get size(): number {
    return this.#changes.length;
  }

  add(change: Change, id: string): void {
    if (change === "joined") this.joins.set(id, this.end);
    this.#changes.push({ change, id });
    this.#nets.clear();
  }

  /** Forgets the changes that every watcher has been notified of. */
  trim(): void {
    let first = this.end;
    for (const { position } of this.watchers.values()) first = Math.min(first, position);
    for (const { id } of this.#changes.splice(0, first - this.#start)) {
      if (this.joins.get(id)! < first) this.joins.delete(id);
    }
    this.#start = first;
  }

  net(from: number, to: number): Net {
    if (to < this.end) return this.#netOf(from, to);
    const net = this.#nets.get(from) ?? this.#netOf(from, to);
    this.#nets.set(from, net);
    return net;
  }

  #netOf(from: number, to: number): Net {
    const first = new Map<string, Change>();
    const last = new Map<string, Change>();
    for (const { change, id } of this.#changes.slice(from - this.#start, to - this.#start)) {
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
}

export class Presence {
  readonly #clock: Clock;
  readonly #rooms = new Map<string, WatchedRoom>();
  /** Rooms with changes that a watcher of single changes, or of batches, has not been notified of. */
  readonly #pending = { single: new Set<WatchedRoom>(), batched: new Set<WatchedRoom>() };
  #budget = NOTICES_PER_TURN;
  #isFlushing = false;
  #cancelTurn: (() => void) | null = null;
  #cancelBatch: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notifies a session of every change from now on. */
  watch(session: Session, isBatched: boolean): void {
    const room = this.#rooms.get(session.room.name) ?? new WatchedRoom();
    this.#rooms.set(session.room.name, room);
    room.watchers.set(session, { session, isBatched, position: room.end });
  }

  unwatch(session: Session): void {
    const room = this.#rooms.get(session.room.name);
    if (!room?.watchers.delete(session) || room.watchers.size > 0) return;
    this.#rooms.delete(session.room.name);
    this.#pending.single.delete(room);
    this.#pending.batched.delete(room);
  }

  /** Logs a change, and notifies the watchers of single changes as far as this turn allows. */
  announce(roomName: string, change: Change, id: string): void {
    const room = this.#rooms.get(roomName);
    if (room === undefined) return;
    room.add(change, id);
    this.#pending.single.add(room);
    this.#pending.batched.add(room);
    if (!this.#isFlushing) { // otherwise a client was dropped while it was notified
      if (room.size > MAX_LOGGED_CHANGES) this.#flushRoom(room, "all", Infinity);
      else this.#flushRoom(room, "single", this.#budget);
    }
    this.#schedule();
  }

  /** Announces a sender to the receiver of its message, or to all of its room, if its join is still pending. */
  flushBefore(roomName: string, senderId: string, receiver?: Session): void {
    if (this.#pending.single.size + this.#pending.batched.size === 0) return;
    const room = this.#rooms.get(roomName);
    const join = room?.joins.get(senderId);
    if (room === undefined || join === undefined) return;
    const only = receiver && room.watchers.get(receiver);
    for (const watcher of receiver === undefined ? room.watchers.values() : only ? [only] : []) {
      if (watcher.position <= join) this.#flush(room, watcher, Infinity);
    }
  }

  /** Ends all notifications. */
  stop(): void {
    this.#rooms.clear();
    this.#cancelTurn?.();
    this.#cancelBatch?.();
  }

  /** Continues in the next turn of the event loop, and with the batches in a moment. */
  #schedule(): void {
    const { single, batched } = this.#pending;
    if (single.size > 0 || this.#budget < NOTICES_PER_TURN) {
      this.#cancelTurn ??= this.#clock.after(0, () => {
        this.#cancelTurn = null;
        this.#budget = NOTICES_PER_TURN;
        for (const room of single) this.#flushRoom(room, "single", this.#budget);
        this.#schedule();
      });
    }
    if (batched.size === 0) return;
    this.#cancelBatch ??= this.#clock.after(BATCH_INTERVAL_MS, () => {
      this.#cancelBatch = null;
      for (const room of batched) this.#flushRoom(room, "batched", Infinity);
      this.#schedule();
    });
  }

  /** Notifies the watchers of a kind, with `limit` notices at the most. */
  #flushRoom(room: WatchedRoom, kind: "single" | "batched" | "all", limit: number): void {
    let left = limit;
    for (const watcher of room.watchers.values()) {
      if (left <= 0) break;
      if (kind === "all" || watcher.isBatched === (kind === "batched")) {
        left -= this.#flush(room, watcher, left);
      }
    }
    room.trim();
    if (left <= 0) return;
    if (kind !== "batched") this.#pending.single.delete(room);
    if (kind !== "single" || room.size === 0) this.#pending.batched.delete(room);
  }

  /** Notifies a watcher of its next changes, `limit` at the most. Returns the number of notices. */
  #flush(room: WatchedRoom, watcher: Watcher, limit: number): number {
    const { position, session, isBatched } = watcher;
    const end = Math.min(room.end, position + limit);
    if (position === end) return 0;
    watcher.position = end;
    const wasFlushing = this.#isFlushing;
    this.#isFlushing = true;
    const notices = noticesOf(room.net(position, end), session.id, isBatched);
    for (const notice of notices) session.connection?.notify(notice);
    this.#isFlushing = wasFlushing;
    this.#budget -= notices.length;
    return notices.length;
  }
}

function noticesOf(net: Net, ownId: string, isBatched: boolean): Notice[] {
  const isOther = (id: string) => id !== ownId;
  const { left, joined } = !net.ids.has(ownId)
    ? net
    : { left: net.left.filter(isOther), joined: net.joined.filter(isOther) };
  if (isBatched) {
    return left.length + joined.length === 0 ? [] : [{ kind: "peers_changed", left, joined }];
  }
  return [
    ...left.map((clientId) => ({ kind: "peer_left", clientId }) as const),
    ...joined.map((clientId) => ({ kind: "peer_joined", clientId }) as const),
  ];
}
