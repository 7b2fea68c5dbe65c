/** The members of a room on all nodes, kept up to date by the changes that this node receives. */

import type { Change } from "../relay/presence.ts";
import type { MembershipMessage } from "./messages.ts";

export class RoomView {
  readonly #members = new Set<string>();
  readonly #onChange: (change: Change, id: string) => void;
  #isStale = true;
  /** The number of this node's pending claims for IDs of the room. */
  claims = 0;

  /** @param onChange receives each join and leave, but not the move of an ID to another connection */
  constructor(onChange: (change: Change, id: string) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#members.size;
  }

  get ids(): Iterable<string> {
    return this.#members;
  }

  /** True if changes may have been missed, so it needs a {@link reset}. */
  get isStale(): boolean {
    return this.#isStale;
  }

  markStale(): void {
    this.#isStale = true;
  }

  /**
   * Sets the members. Later changes apply to these.
   *
   * @param areAll false if Redis may not know all members yet: then none is removed
   */
  reset(ids: readonly string[], areAll: boolean): void {
    this.#isStale = false;
    if (areAll) {
      const present = new Set(ids);
      for (const id of this.#members) if (!present.has(id)) this.remove(id);
    }
    for (const id of ids) this.add(id);
  }

  /** Applies a change, unless a reset is pending, which will include it. */
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
