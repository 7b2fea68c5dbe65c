/** Who is in a room, on whatever node, as this node has heard of it. */

import type { Change } from "../relay/presence.ts";
import type { MembershipMessage } from "./messages.ts";

export class RoomView {
  readonly #members = new Set<string>();
  readonly #onChange: (change: Change, id: string) => void;
  #isStale = true;
  /** How many claims of this node for IDs of the room are under way. */
  claims = 0;

  /** @param onChange is told of everybody who comes or goes, but not of one who only changes the connection */
  constructor(onChange: (change: Change, id: string) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#members.size;
  }

  get ids(): Iterable<string> {
    return this.#members;
  }

  /** Whether it has to be {@link reset}: not all that happened was heard. */
  get isStale(): boolean {
    return this.#isStale;
  }

  markStale(): void {
    this.#isStale = true;
  }

  /**
   * The members as they are now. What is heard from here on comes on top.
   *
   * @param areAll false where others may be there of whom Redis knows nothing yet: nobody counts as gone
   */
  reset(ids: readonly string[], areAll: boolean): void {
    this.#isStale = false;
    if (areAll) {
      const present = new Set(ids);
      for (const id of this.#members) if (!present.has(id)) this.remove(id);
    }
    for (const id of ids) this.add(id);
  }

  /** Something that has happened in the room. What came before the first reset is in it. */
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
