/** Load on Redis: nodes claim IDs and release them again. Answers, and what rooms hear, are checked. */

import { roomChannel } from "../../../lib/cluster/keys.ts";
import { readMessage } from "../../../lib/cluster/messages.ts";
import { claim, release } from "./calls.ts";
import type { Load } from "./load.ts";
import type { Published } from "./resp.ts";
import type { SimulatedNode, SimulatedNodes } from "./simulated_node.ts";

const SHARED_ROOM = "hall";

export class RegistrationLoad implements Load {
  begun = 0;
  readonly #nodes: readonly SimulatedNode[];
  readonly #hasOwnRooms: boolean;
  #isRegistering = false;
  #released = 0;
  #joins = 0;
  #leaves = 0;

  /** @param hasOwnRooms whether each client comes to a room of its own; if not, all nodes watch the room */
  constructor(all: SimulatedNodes, nodes: readonly SimulatedNode[], hasOwnRooms: boolean) {
    this.#nodes = nodes;
    this.#hasOwnRooms = hasOwnRooms;
    for (const node of nodes) {
      if (!hasOwnRooms) all.ask(node, ["SUBSCRIBE", roomChannel(SHARED_ROOM)]);
      node.onPublished = (published) => this.#onPublished(node, published);
    }
  }

  /** Registrations that are over, and of whose beginning and end all have heard who were to hear. */
  get ended(): number {
    const watchers = this.#hasOwnRooms ? 1 : this.#nodes.length;
    return Math.min(this.#released, Math.floor(Math.min(this.#joins, this.#leaves) / watchers));
  }

  begin(atEach: number): void {
    this.#isRegistering = true;
    for (const node of this.#nodes) {
      for (let place = 0; place < atEach; place++) this.#register(node, place);
    }
  }

  drain(): void {
    this.#isRegistering = false;
  }

  /** A client's place is the number of its question, too. */
  #register(node: SimulatedNode, place: number): void {
    this.begun++;
    const room = this.#roomOf(node, place);
    if (this.#hasOwnRooms) node.send(["SUBSCRIBE", roomChannel(room)], () => {});
    const id = this.#idOf(node, place);
    node.run(claim(node.id, room, id, place, this.#hasOwnRooms), expectNothing);
  }

  #onPublished(node: SimulatedNode, { text }: Published): void {
    const message = readMessage(text);
    if (message?.kind === "join") this.#joins++;
    else if (message?.kind === "leave") this.#leaves++;
    else if (message?.kind === "answer" && message.status === "ok") {
      this.#release(node, message.question, message.claim);
    } else throw new Error(`not expected: ${text}`);
  }

  #release(node: SimulatedNode, place: number, number: number): void {
    const room = this.#roomOf(node, place);
    const id = this.#idOf(node, place);
    node.run(release(node.id, room, id, number), (reply) => {
      expectNothing(reply);
      this.#released++;
      if (this.#isRegistering) this.#register(node, place);
    });
    if (this.#hasOwnRooms) node.send(["UNSUBSCRIBE", roomChannel(room)], () => {});
  }

  #roomOf(node: SimulatedNode, place: number): string {
    return this.#hasOwnRooms ? `room of ${node.id} ${place}` : SHARED_ROOM;
  }

  #idOf(node: SimulatedNode, place: number): string {
    return `visitor_${node.id}_${place}`;
  }
}

function expectNothing(reply: unknown): void {
  if (reply !== null) throw new Error(`Redis replied ${reply}`);
}
