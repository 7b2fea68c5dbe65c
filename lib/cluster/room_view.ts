/** The members of a room at all nodes, and their owners, updated by the changes that this node receives. */

import type { Change } from "../relay/presence.ts";
import type { ChangeMessage, Owner } from "./messages.ts";

export class RoomView {
  readonly #owners = new Map<string, Owner>();
  readonly #onChange: (change: Change, id: string) => void;
  /** Members that the current scan has not found yet; null if there is none. */
  #unseen: Set<string> | null = null;
  #isStale = true;
  #seenEpoch = 0;
  /** The number of claims and of messages in flight of this node, which need the room's channel. */
  uses = 0;
  /** Clients whose messages wait at this node for older ones. */
  readonly waiting = new Set<string>();

  /** @param onChange receives each join and leave; the move of an ID to another connection is neither */
  constructor(onChange: (change: Change, id: string) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#owners.size;
  }

  get ids(): Iterable<string> {
    return this.#owners.keys();
  }

  /** True if this node may have missed changes, so that it has to scan the room. */
  get isStale(): boolean {
    return this.#isStale;
  }

  /** The highest epoch that this node has seen in the room. */
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

  /** Begins a scan of all members. Members that change meanwhile count as found. */
  beginScan(): void {
    this.#unseen = new Set(this.#owners.keys());
  }

  /** Applies scanned members, which are as new as the last change; returns the IDs whose owner differs. */
  read(members: readonly (readonly [id: string, owner: Owner])[]): string[] {
    const changed = members.filter(([id, { epoch, isHeld }]) => {
      const before = this.#owners.get(id);
      return epoch !== before?.epoch || isHeld !== before.isHeld;
    });
    for (const [id, owner] of members) this.set(id, owner);
    return changed.map(([id]) => id);
  }

  /** @param areAll false if Redis may not have all members yet, so that none is removed */
  endScan(areAll: boolean): void {
    for (const id of areAll && this.#unseen || []) {
      if (this.#owners.get(id)?.epoch !== 0) this.remove(id); // at 0, Redis has not assigned one yet
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
