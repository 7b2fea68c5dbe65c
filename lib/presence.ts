/** Tells those who watch a room who comes and who goes. */

import type { Clock } from "./clock.ts";
import { peerFrame } from "./protocol.ts";

/** A client that wants to know who is in its room. */
export interface Watcher {
  readonly id: string;
  readonly roomName: string;
  /** Null while there is nobody to tell. */
  readonly link: { send(frame: string): boolean } | null;
}

interface Leave {
  readonly room: string;
  readonly id: string;
  /** When that was, by the count of what happens. */
  readonly at: number;
}

/**
 * After so many frames about clients that have left, whatever else has come has its turn. Where a whole room is cut off,
 * that is the end of those who would be told next: or else the last frames of n clients would be n².
 */
const FRAMES_AT_ONCE = 500;

export class Presence {
  readonly #clock: Clock;
  /** By room: who watches it, and since when. */
  readonly #rooms = new Map<string, Map<Watcher, number>>();
  /** Who has left and was not announced yet, the first first. */
  readonly #leaves = new Map<string, Leave>();
  /** Counts what happens: two things are never at the same time. */
  #now = 0;
  #cancelTimer: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From now on a client is told; of what was before, it is to be told otherwise. */
  watch(client: Watcher): void {
    const watchers = this.#rooms.get(client.roomName) ?? new Map<Watcher, number>();
    this.#rooms.set(client.roomName, watchers);
    watchers.set(client, ++this.#now);
  }

  unwatch(client: Watcher): void {
    const watchers = this.#rooms.get(client.roomName);
    watchers?.delete(client);
    if (watchers?.size === 0) this.#rooms.delete(client.roomName);
  }

  /** Announces one who has come, at once: before anything that it may send. */
  joined(room: string, id: string): void {
    const leave = this.#leaves.get(keyOf(room, id));
    if (leave !== undefined) this.#announceLeave(leave);
    this.#tell(room, id, peerFrame("peer_joined", id), ++this.#now);
  }

  /** Announces one who has gone, soon. */
  left(room: string, id: string): void {
    if (!this.#rooms.has(room)) return;
    this.#leaves.set(keyOf(room, id), { room, id, at: ++this.#now });
    this.#announceSoon();
  }

  /** Announces nothing any more. */
  stop(): void {
    this.#leaves.clear();
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #announceSoon(): void {
    this.#cancelTimer ??= this.#clock.after(0, () => {
      this.#cancelTimer = null;
      this.#announceLeaves();
    });
  }

  #announceLeaves(): void {
    let frames = 0;
    for (const leave of this.#leaves.values()) {
      if (frames >= FRAMES_AT_ONCE) return this.#announceSoon();
      frames += this.#announceLeave(leave);
    }
  }

  #announceLeave(leave: Leave): number {
    const { room, id, at } = leave;
    this.#leaves.delete(keyOf(room, id));
    return this.#tell(room, id, peerFrame("peer_left", id), at);
  }

  /** Tells those who watched then and are still there. The answer is how many. */
  #tell(room: string, id: string, frame: string, at: number): number {
    let told = 0;
    for (const [watcher, since] of this.#rooms.get(room) ?? []) {
      if (since < at && watcher.id !== id && watcher.link?.send(frame)) told++;
    }
    return told;
  }
}

/** Neither a room's name nor an ID has control characters. */
function keyOf(room: string, id: string): string {
  return `${room}\0${id}`;
}
