/** The members of a room, on all nodes, as far as this node has received the changes. */

import type { Change } from "../relay/presence.ts";
import type { MembershipMessage } from "./messages.ts";

export class RoomView {
  readonly #members = new Set<string>();
  readonly #onChange: (change: Change, id: string) => void;
  #isStale = true;
  /** The number of this node's pending claims for IDs of the room. */
  claims = 0;

  /** @param onChange receives each join and leave, but no change of the connection alone */
  constructor(onChange: (change: Change, id: string) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#members.size;
  }

  get ids(): Iterable<string> {
    return this.#members;
  }

  /** True if it has to be {@link reset}: changes may have been missed. */
  get isStale(): boolean {
    return this.#isStale;
  }

  markStale(): void {
    this.#isStale = true;
  }

  /**
   * Sets the members as they are now. Changes from here on come on top.
   *
   * @param areAll false if Redis may not know all of them yet: then no member is removed
   */
  reset(ids: readonly string[], areAll: boolean): void {
    this.#isStale = false;
    if (areAll) {
      const present = new Set(ids);
      for (const id of this.#members) if (!present.has(id)) this.remove(id);
    }
    for (const id of ids) this.add(id);
  }

  /** Applies a change. The first reset includes those that came before it. */
  apply({ kind, id }: MembershipMessage): void {
    if (this.#isStale) return;
    if (kind === "join") this.add(id);
    else this.remove(id);
  }

  add(id: string): void {
    if (this.#members.has(id)) return;
    this.#members.add(id);
    this.#onChange("joined", id);
  }

  remove(id: string): void {
    if (this.#members.delete(id)) this.#onChange("left", id);
  }
}
