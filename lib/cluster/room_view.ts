/** The members of a room on all nodes and their owners, kept up to date by the changes that this node receives. */

import type { Change } from "../relay/presence.ts";
import type { ChangeMessage, Owner } from "./messages.ts";

export class RoomView {
  readonly #owners = new Map<string, Owner>();
  readonly #onChange: (change: Change, id: string) => void;
  /** The members that a scan has not found yet; null while there is no scan. */
  #unseen: Set<string> | null = null;
  #isStale = true;
  #seenEpoch = 0;
  /** Claims, stored messages and messages under way of this node in the room: they need its channel. */
  uses = 0;
  /** Clients whose messages wait, at this node, for older ones. */
  readonly waiting = new Set<string>();

  /** @param onChange receives each join and leave, but not the move of an ID to another connection */
  constructor(onChange: (change: Change, id: string) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#owners.size;
  }

  get ids(): Iterable<string> {
    return this.#owners.keys();
  }

  /** True if changes may have been missed, so it needs a scan. */
  get isStale(): boolean {
    return this.#isStale;
  }

  /** The highest epoch that this node knows of. */
  get seenEpoch(): number {
    return this.#seenEpoch;
  }

  markStale(): void {
    this.#isStale = true;
    this.#unseen = null;
  }

  ownerOf(id: string): Owner | undefined {
    return this.#owners.get(id);
  }

  /** Begins to read all members. Changes that come meanwhile count as read. */
  beginScan(): void {
    this.#unseen = new Set(this.#owners.keys());
  }

  /** Takes members that were read; they are as new as the last change. Returns those with another owner than before. */
  read(members: readonly (readonly [id: string, owner: Owner])[]): string[] {
    const changed = members.filter(([id, { epoch, isHeld }]) => {
      const before = this.#owners.get(id);
      return epoch !== before?.epoch || isHeld !== before.isHeld;
    });
    for (const [id, owner] of members) this.set(id, owner);
    return changed.map(([id]) => id);
  }

  /** @param areAll false if Redis may not know all members yet: then none is removed */
  endScan(areAll: boolean): void {
    for (const id of areAll && this.#unseen || []) {
      if (this.#owners.get(id)?.epoch !== 0) this.remove(id); // 0: this node has not claimed it yet
    }
    this.#unseen = null;
    this.#isStale = false;
  }

  apply({ kind, id, node, epoch }: ChangeMessage): void {
    if (kind === "left") this.remove(id);
    else this.set(id, { node, epoch, isHeld: kind === "held" });
  }

  set(id: string, owner: Owner): void {
    const isNew = !this.#owners.has(id);
    this.#owners.set(id, owner);
    this.#unseen?.delete(id);
    this.#seenEpoch = Math.max(this.#seenEpoch, owner.epoch);
    if (isNew) this.#onChange("joined", id);
  }

  remove(id: string): void {
    this.#unseen?.delete(id);
    this.waiting.delete(id);
    if (this.#owners.delete(id)) this.#onChange("left", id);
  }
}
