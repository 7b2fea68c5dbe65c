/** Load on Redis: each of some nodes sends messages to clients of the next one. All are checked where they arrive. */

import { writeMessage } from "../../../lib/cluster/messages.ts";
import { candidate, NUMBER } from "../messages.ts";
import { claim, send } from "./calls.ts";
import type { Load } from "./load.ts";
import type { SimulatedNode, SimulatedNodes } from "./simulated_node.ts";

/** So many that a room's IDs are what they are in a large room. */
const TARGETS_PER_NODE = 1000;
const DEFAULT_ROOM = "";

export class MessageLoad implements Load {
  begun = 0;
  ended = 0;
  readonly #senders: readonly Sender[];
  #isSending = false;

  constructor(all: SimulatedNodes, nodes: readonly SimulatedNode[]) {
    this.#senders = nodes.map((node, index) => {
      const receiver = nodes[(index + 1) % nodes.length]!;
      const targetIds = Array.from(
        { length: TARGETS_PER_NODE },
        (_, number) => `get_${index}_${10_000 + number}`,
      );
      claimAll(all, receiver, targetIds);
      return new Sender(node, `sender_000${index}`, receiver, targetIds);
    });
    for (const sender of this.#senders) sender.onArrived = () => this.#onArrived(sender);
  }

  begin(atEach: number): void {
    this.#isSending = true;
    for (const sender of this.#senders) {
      for (let i = 0; i < atEach; i++) this.#send(sender);
    }
  }

  drain(): void {
    this.#isSending = false;
  }

  #send(sender: Sender): void {
    this.begun++;
    sender.send();
  }

  #onArrived(sender: Sender): void {
    this.ended++;
    if (this.#isSending) this.#send(sender);
  }
}

function claimAll(all: SimulatedNodes, node: SimulatedNode, ids: readonly string[]): void {
  let missing = ids.length;
  node.onPublished = () => missing--;
  for (const [index, id] of ids.entries()) {
    node.run(claim(node.id, DEFAULT_ROOM, id, index, false), () => {});
  }
  all.waitUntil(() => missing === 0);
}

/** A client of one node that sends to clients of another, in turn. */
class Sender {
  onArrived: () => void = () => {};
  readonly #node: SimulatedNode;
  readonly #id: string;
  readonly #targetIds: readonly string[];
  readonly #frame: string;
  #sent = 0;
  #arrived = 0;

  constructor(
    node: SimulatedNode,
    id: string,
    receiver: SimulatedNode,
    targetIds: readonly string[],
  ) {
    this.#node = node;
    this.#id = id;
    this.#targetIds = targetIds;
    this.#frame = JSON.stringify({ ...candidate(), from: id });
    receiver.onPublished = ({ text }) => {
      const expected = writeMessage(this.#message(this.#arrived++));
      if (text !== expected) throw new Error(`${text} came in place of ${expected}`);
      this.onArrived();
    };
  }

  send(): void {
    const number = this.#sent++;
    this.#node.run(send(this.#message(number), number), (reply) => {
      if (reply !== "sent") throw new Error(`a message was ${reply}, not sent`);
    });
  }

  #message(number: number) {
    return {
      kind: "message",
      room: DEFAULT_ROOM,
      targetId: this.#targetIds[number % this.#targetIds.length]!,
      frame: this.#frame.replace(NUMBER, String(number).padStart(NUMBER.length, "0")),
      sender: { node: this.#node.id, id: this.#id },
    } as const;
  }
}
