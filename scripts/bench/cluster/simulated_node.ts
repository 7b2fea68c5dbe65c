/** Nodes as Redis sees them: connections that run the cluster's scripts, and hear what is published for them. */

import { nodeChannel } from "../../../lib/cluster/keys.ts";
import { readScripts, type ScriptName } from "../../../lib/cluster/scripts.ts";
import { Sockets } from "../sockets.ts";
import type { Call } from "./calls.ts";
import { isPublished, type Published, RespReader, type Value, writeCommand } from "./resp.ts";

const RECEIVE_BUFFER_BYTES = 256 * 1024;
const PATIENCE_MS = 20_000;
/** As long as a real one's. */
const ID_LENGTH = 16;

/** Of what is sent to Redis, what is called with its reply. */
type OnReply = (reply: Value) => void;

export class SimulatedNode {
  readonly id: string;
  readonly fd: number;
  readonly #digests: ReadonlyMap<ScriptName, string>;
  readonly #waiting: OnReply[] = [];
  #firstWaiting = 0;
  readonly #reader = new RespReader();
  /** What is to be sent at the next opportunity, all at once. */
  outgoing = "";
  onPublished: (published: Published) => void = () => {};

  constructor(id: string, fd: number, digests: ReadonlyMap<ScriptName, string>) {
    this.id = id;
    this.fd = fd;
    this.#digests = digests;
  }

  send(parts: readonly (string | number)[], onReply: OnReply): void {
    this.#waiting.push(onReply);
    this.outgoing += writeCommand(parts);
  }

  run([script, ...args]: Call, onReply: OnReply): void {
    const { keys } = readScripts()[script];
    this.send(["EVALSHA", this.#digests.get(script)!, keys, ...args], onReply);
  }

  receive(piece: string): void {
    this.#reader.add(piece);
    for (let value = this.#reader.next(); value !== undefined; value = this.#reader.next()) {
      if (isPublished(value)) this.onPublished(value);
      else this.#takeWaiting()(value);
    }
  }

  #takeWaiting(): OnReply {
    const onReply = this.#waiting[this.#firstWaiting++];
    if (onReply === undefined) throw new Error("Redis replied to something that was not sent");
    if (this.#firstWaiting === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#firstWaiting = 0;
    }
    return onReply;
  }
}

/** All of them, in one thread and without promises. */
export class SimulatedNodes {
  readonly #sockets = new Sockets();
  readonly #nodes = new Map<number, SimulatedNode>();
  readonly #digests = new Map<ScriptName, string>();
  readonly #buffer = new Uint8Array(RECEIVE_BUFFER_BYTES);
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder("latin1");
  readonly #onReady = (fd: number) => this.#serve(fd);

  /** Connects nodes, which are alive from then on; all listen to their own channels. */
  open(port: number, name: string, count: number): SimulatedNode[] {
    const nodes = Array.from({ length: count }, (_, index) => {
      const fd = this.#sockets.connect(port);
      const node = new SimulatedNode(`${name}${index}`.padEnd(ID_LENGTH, "_"), fd, this.#digests);
      this.#nodes.set(fd, node);
      this.#sockets.wait(1000, () => this.#sockets.watchInput(fd)); // it is connected
      return node;
    });
    for (const node of nodes) this.ask(node, ["HELLO", 3]);
    for (const name of Object.keys(readScripts()) as ScriptName[]) {
      this.#digests.set(
        name,
        String(this.ask(nodes[0]!, ["SCRIPT", "LOAD", readScripts()[name].text])),
      );
    }
    for (const node of nodes) this.ask(node, ["SUBSCRIBE", nodeChannel(node.id)]);
    this.heartbeat(nodes);
    return nodes;
  }

  /** Gives a sign of life for each. */
  heartbeat(nodes: readonly SimulatedNode[]): void {
    let missing = nodes.length;
    for (const node of nodes) node.run(["heartbeat", node.id, 1], () => missing--);
    this.waitUntil(() => missing === 0);
  }

  /** Sends a command, and waits for its reply. */
  ask(node: SimulatedNode, parts: readonly (string | number)[]): Value {
    let answer: Value | undefined;
    node.send(parts, (reply) => answer = reply);
    this.waitUntil(() => answer !== undefined);
    return answer!;
  }

  pollFor(durationMs: number): void {
    const until = performance.now() + durationMs;
    while (performance.now() < until) this.#poll();
  }

  waitUntil(isDone: () => boolean): void {
    const giveUpAt = performance.now() + PATIENCE_MS;
    while (!isDone()) {
      this.#poll();
      if (performance.now() > giveUpAt) throw new Error("Redis does not answer");
    }
  }

  /** Sends what is to be sent, and receives what has come. */
  #poll(): void {
    for (const node of this.#nodes.values()) {
      if (node.outgoing === "") continue;
      this.#sockets.send(node.fd, this.#encoder.encode(node.outgoing));
      node.outgoing = "";
    }
    this.#sockets.wait(10, this.#onReady);
  }

  #serve(fd: number): void {
    const length = this.#sockets.receive(fd, this.#buffer);
    if (length <= 0) throw new Error("Redis has closed a connection");
    this.#nodes.get(fd)!.receive(this.#decoder.decode(this.#buffer.subarray(0, length)));
  }

  close(): void {
    for (const fd of this.#nodes.keys()) this.#sockets.closeSocket(fd);
    this.#sockets.close();
  }
}
