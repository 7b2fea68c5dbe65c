/** Clients of a simulated cluster: each has an ID, and one connection after the other, to any node. */

import { Connection } from "../../lib/relay/connection.ts";
import type { Message } from "../../tests/helpers/client.ts";
import { FakeSocket } from "../../tests/helpers/switchboard.ts";
import type { SimulatedNode } from "./node.ts";
import type { World } from "./world.ts";

/** A numbered message that a client has sent. */
export interface Sent {
  readonly number: number;
  readonly from: ClientConnection;
  /** The sender's session. */
  readonly session: string;
  /** The target's ID; null for a broadcast. */
  readonly to: string | null;
  readonly sentAtMs: number;
  /** True if it waits in its connection, because the node may have lost its clients' IDs. */
  readonly waits: boolean;
  /** Registered connections of all other clients at that time. */
  readonly others: readonly ClientConnection[];
  readonly deliveredTo: ClientConnection[];
}

class Socket extends FakeSocket {
  readonly #onText: (text: string) => void;

  constructor(onText: (text: string) => void) {
    super();
    this.#onText = onText;
  }

  override send(text: string): void {
    this.#onText(text);
  }
}

export class ClientConnection {
  readonly client: Client;
  readonly node: SimulatedNode;
  readonly name: string;
  readonly #world: World;
  readonly #socket: Socket;
  readonly #connection: Connection;
  /** The session; null before the client has registered. */
  session: string | null = null;
  isOpen = true;
  /** The time at which the client or the network has ended it, in milliseconds; Infinity before. */
  endedAtMs = Infinity;
  readonly received: Sent[] = [];

  constructor(client: Client, node: SimulatedNode, world: World) {
    this.client = client;
    this.node = node;
    this.name = `${client.id}${client.connections.length + 1}@${node.name}`;
    this.#world = world;
    this.#socket = new Socket((text) => this.#receive(text));
    const request = { address: "192.0.2.1", url: "http://host/", token: null };
    this.#connection = new Connection(this.#socket, request, node.deps);
  }

  send(message: Message): void {
    this.#connection.receive(JSON.stringify(message));
  }

  #receive(text: string): void {
    this.#world.log(`${this.name} receives ${text}`);
    const message: Message = JSON.parse(text);
    if (message.type === "registered") {
      const { resume: secret = null, resumed } = message;
      this.client.secret = secret as string | null;
      if (!resumed) this.client.sessions++;
      this.session = `${this.client.id} ${this.client.sessions}`;
    } else if (message.type === "error") {
      const target = message.target_id;
      if (target !== undefined) this.#world.errors.push({ at: this, target: String(target) });
    } else {
      const sent = this.#world.sent[Number(message.n)]!;
      this.received.push(sent);
      sent.deliveredTo.push(this);
    }
  }

  /** Notices that the server has closed it. */
  update(): void {
    if (this.#connection.closedFor !== null) this.isOpen = false;
  }

  /** Closes it, because the node shuts down. */
  close(): void {
    this.#connection.close("shutting_down");
    this.isOpen = false;
  }

  /** Ends it, as the network or the client does. */
  end(code: number): void {
    this.isOpen = false;
    this.endedAtMs = this.node.now();
    this.#socket.readyState = WebSocket.CLOSED;
    this.#connection.ended(code);
  }
}

export class Client {
  readonly id: string;
  /** False for one that stays connected. */
  readonly moves: boolean;
  readonly connections: ClientConnection[] = [];
  secret: string | null = null;
  /** The number of its sessions. */
  sessions = 0;

  constructor(id: string, moves: boolean) {
    this.id = id;
    this.moves = moves;
  }

  get open(): readonly ClientConnection[] {
    return this.connections.filter(({ isOpen }) => isOpen);
  }

  /** Registers over a new connection. */
  register(node: SimulatedNode, world: World, resume: string | boolean): void {
    const connection = new ClientConnection(this, node, world);
    this.connections.push(connection);
    world.log(`${connection.name} registers with ${resume}`);
    connection.send({ type: "register", client_id: this.id, resume });
  }
}
