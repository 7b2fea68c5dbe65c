/** Who is in a room, on whatever node, as this node has heard of it. */

import type { MembershipMessage } from "./messages.ts";

export class RoomView {
  readonly #members = new Set<string>();
  readonly #onChange: (change: "peer_joined" | "peer_left", id: string) => void;
  /** Events up to this one are known; null until the members have been read. */
  #number: number | null = null;
  #early: MembershipMessage[] = [];
  /** IDs of this room that this node is claiming. */
  claims = 0;

  /** @param onChange is told of everybody who comes or goes, but not of one who only changes the connection */
  constructor(onChange: (change: "peer_joined" | "peer_left", id: string) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#members.size;
  }

  get ids(): Iterable<string> {
    return this.#members;
  }

  /** Whether the members have to be read, and handed to {@link reset}, before events count. */
  get isStale(): boolean {
    return this.#number === null;
  }

  /** Events may have been missed. */
  markStale(): void {
    this.#number = null;
    this.#early = [];
  }

  /** The members as they were right after event `number`. */
  reset(number: number, ids: readonly string[]): void {
    const present = new Set(ids);
    for (const id of this.#members) if (!present.has(id)) this.remove(id);
    for (const id of present) this.add(id);
    this.#number = number;
    const early = this.#early;
    this.#early = [];
    for (const message of early) this.apply(message);
  }

  /** An event. */
  apply(message: MembershipMessage): void {
    if (this.#number === null) return void this.#early.push(message);
    if (message.number <= this.#number) return;
    this.#number = message.number;
    if (message.kind === "join") this.add(message.id);
    else if (message.kind === "leave") this.remove(message.id);
    else this.#members.add(message.id);
  }

  add(id: string): void {
    if (this.#members.has(id)) return;
    this.#members.add(id);
    this.#onChange("peer_joined", id);
  }

  remove(id: string): void {
    if (this.#members.delete(id)) this.#onChange("peer_left", id);
  }
}
