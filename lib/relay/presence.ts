/** Tells those who watch a room who comes and who goes. */

import type { Clock } from "../clock.ts";
import { clientKey, peerFrame } from "./vocabulary.ts";

/** A client that wants to know who is in its room. */
export interface Watcher {
  readonly id: string;
  readonly roomName: string;
  /** Null while there is nobody to tell. */
  readonly link: { send(frame: string): boolean } | null;
}

/** Who watches a room, and since when. */
type Watchers = Map<Watcher, number>;

/** Somebody has come or gone, and not all have been told. Times are by the count of what happens. */
interface Change {
  readonly type: "peer_joined" | "peer_left";
  readonly key: string;
  readonly room: string;
  readonly id: string;
  readonly frame: string;
  /** Who is to be told has watched since after that… */
  readonly after: number;
  /** … and before that: who came later has got a list. */
  readonly before: number;
  /** Those who have not been told; null where it has not begun. */
  watchers: MapIterator<[Watcher, number]> | null;
}

/**
 * After so many frames all else that has come has its turn. n clients that come at once are announced to each other with
 * n² frames: meanwhile nobody else may have to wait, nor they with what they send themselves. Where n are cut off at
 * once, those who would be told are gone themselves by then.
 */
const FRAMES_AT_ONCE = 500;
/** So many changes may wait: past that, whoever makes more of them waits for the oldest to be told. */
const MAX_WAITING_CHANGES = 10_000;

export class Presence {
  readonly #clock: Clock;
  readonly #rooms = new Map<string, Watchers>();
  /** The oldest first. */
  readonly #changes = new Set<Change>();
  /** Of one ID each, by room and ID: they are told one after the other. */
  readonly #changesOf = new Map<string, readonly Change[]>();
  /** Counts what happens: no two things are at the same time. */
  #now = 0;
  /** Frames that may still be sent now. */
  #budget = FRAMES_AT_ONCE;
  #isTelling = false;
  #cancelTimer: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From now on a client is told; of what was before, it is to be told otherwise. */
  watch(client: Watcher): void {
    const watchers: Watchers = this.#rooms.get(client.roomName) ?? new Map();
    this.#rooms.set(client.roomName, watchers);
    watchers.set(client, ++this.#now);
  }

  unwatch(client: Watcher): void {
    const watchers = this.#rooms.get(client.roomName);
    watchers?.delete(client);
    if (watchers?.size === 0) this.#rooms.delete(client.roomName);
  }

  joined(room: string, id: string): void {
    if (this.#rooms.has(room)) this.#add("peer_joined", room, id, 0);
  }

  left(room: string, id: string): void {
    if (!this.#rooms.has(room)) return;
    const join = this.#changesOf.get(clientKey(room, id))?.at(-1);
    const isUnheard = join !== undefined && join.watchers === null;
    if (isUnheard) this.#remove(join);
    this.#add("peer_left", room, id, isUnheard ? join.before : 0);
  }

  /** A client is about to be heard: that it has come is told before. */
  settle(room: string, id: string): void {
    if (this.#changes.size === 0) return;
    const changes = this.#changesOf.get(clientKey(room, id)) ?? [];
    if (changes.at(-1)?.type !== "peer_joined") return;
    for (const change of changes) this.#finish(change);
  }

  /** Tells nobody anything any more. */
  stop(): void {
    this.#changes.clear();
    this.#changesOf.clear();
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #add(type: Change["type"], room: string, id: string, after: number): void {
    const key = clientKey(room, id);
    const frame = peerFrame(type, id);
    const change = { type, key, room, id, frame, after, before: ++this.#now, watchers: null };
    this.#changes.add(change);
    this.#changesOf.set(key, [...this.#changesOf.get(key) ?? [], change]);
    if (this.#isTelling) return; // somebody was dropped over it: no recursion
    if (this.#changes.size > MAX_WAITING_CHANGES) {
      const [oldest] = this.#changes.values();
      this.#finish(oldest!);
    }
    this.#tell();
  }

  /** Tells what there is to tell. */
  #tell(): void {
    this.#isTelling = true;
    for (const change of this.#changes) {
      if (this.#budget <= 0) break;
      this.#budget -= this.#advance(change, this.#budget);
    }
    this.#isTelling = false;
    if (this.#budget < FRAMES_AT_ONCE) this.#goOnSoon();
  }

  #goOnSoon(): void {
    this.#cancelTimer ??= this.#clock.after(0, () => {
      this.#cancelTimer = null;
      this.#budget = FRAMES_AT_ONCE;
      this.#tell();
    });
  }

  /** Tells all of a change, however many that are. */
  #finish(change: Change): void {
    const wasTelling = this.#isTelling;
    this.#isTelling = true;
    this.#budget -= this.#advance(change, Infinity);
    this.#isTelling = wasTelling;
    this.#goOnSoon();
  }

  /** Tells so many of those who are to be told. The answer is how many. */
  #advance(change: Change, limit: number): number {
    const { room, id, frame, after, before } = change;
    change.watchers ??= (this.#rooms.get(room) ?? new Map()).entries();
    let told = 0;
    while (told < limit) {
      const { value, done } = change.watchers.next();
      if (done) {
        this.#remove(change);
        break;
      }
      const [watcher, since] = value;
      const isToBeTold = after < since && since < before && watcher.id !== id;
      if (isToBeTold && watcher.link?.send(frame)) told++;
    }
    return told;
  }

  #remove(change: Change): void {
    if (!this.#changes.delete(change)) return; // it was finished while it was told
    const others = this.#changesOf.get(change.key)!.filter((other) => other !== change);
    if (others.length > 0) this.#changesOf.set(change.key, others);
    else this.#changesOf.delete(change.key);
  }
}
