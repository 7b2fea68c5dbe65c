/** One socket's life: it registers, what it sends is forwarded, it ends. */

import { type Envelope, readdress, readEnvelope } from "./envelope.ts";
import type { Events } from "./events.ts";
import {
  CLOSE_CODES,
  type CloseReason,
  describe,
  type ErrorCode,
  errorFrame,
  ProtocolError,
  readRegistration,
  registeredFrame,
} from "./protocol.ts";
import type { Client, Link, Router } from "./router.ts";

/** What a connection needs of a WebSocket. */
export interface Socket {
  readonly readyState: number;
  /** UTF-8 bytes that were sent and have not left the process. */
  readonly bufferedAmount: number;
  send(text: string): void;
  close(code: number, reason: string): void;
}

/** What all connections of a server share. */
export interface Surroundings {
  readonly router: Router;
  readonly events: Events;
  /** A connection has registered. */
  onRegistered(connection: Connection): void;
}

export class Connection implements Link {
  readonly address: string;
  readonly #socket: Socket;
  readonly #router: Router;
  readonly #events: Events;
  readonly #onRegistered: (connection: Connection) => void;
  #client: Client | null = null;
  #closedFor: CloseReason | null = null;
  #isOpen = false;

  constructor(socket: Socket, address: string, surroundings: Surroundings) {
    this.#socket = socket;
    this.address = address;
    this.#router = surroundings.router;
    this.#events = surroundings.events;
    this.#onRegistered = surroundings.onRegistered;
  }

  /** Whether the upgrade is done. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The upgrade is done. A close from before it was lost, so it is said again. */
  opened(): void {
    this.#isOpen = true;
    if (this.#closedFor !== null) this.#closeSocket(this.#closedFor);
  }

  /** A message has come: a string, or something else for a binary one. Never throws. */
  receive(data: unknown): void {
    if (this.#closedFor !== null) return;
    try {
      this.#receive(data);
    } catch (error) {
      if (error instanceof ProtocolError) return this.#refuse(error);
      this.#events.crashed("receive", error);
      this.close("internal_error");
    }
  }

  #receive(data: unknown): void {
    if (typeof data !== "string") {
      return this.reject("unsupported_data", "Messages are JSON text; this one was binary.");
    }
    const envelope = readEnvelope(data);
    if (this.#client === null) this.#register(envelope);
    else if (envelope.members.type === "register") this.#registerAgain(this.#client, envelope);
    else this.#forward(this.#client, envelope);
  }

  /** A frame that breaks the protocol: a registered client may go on, any other has to go. */
  #refuse({ code, message }: ProtocolError): void {
    if (this.#client === null) this.reject(code as CloseReason & ErrorCode, message);
    else this.#fail(code, message);
  }

  #register({ members }: Envelope): void {
    if (members.type !== "register") {
      throw new ProtocolError("not_registered", 'The first message must be {"type":"register",…}.');
    }
    const { clientId } = readRegistration(members);
    const client = this.#router.register(clientId, this);
    if (client === null) {
      return this.reject("id_taken", `Another client is connected as ${describe(clientId)}.`);
    }
    this.#client = client;
    this.#onRegistered(this);
    this.send(registeredFrame(clientId));
  }

  #registerAgain(client: Client, { members }: Envelope): void {
    if (members.client_id !== client.id) {
      return this.#fail(
        "already_registered",
        `This connection is registered as ${describe(client.id)}.`,
      );
    }
    this.send(registeredFrame(client.id));
  }

  #forward(client: Client, envelope: Envelope): void {
    const { targetId, text, members: { type } } = envelope;
    const frame = readdress(envelope, client.from);
    if (targetId === "") {
      this.#events.broadcast(client, this.#router.broadcast(client, frame), { text, type });
    } else if (this.#router.send(targetId, frame)) {
      this.#events.sent(client, targetId, { text, type });
    } else {
      this.#fail("target_not_found", `No client ${describe(targetId)} is connected.`, targetId);
    }
  }

  send(frame: string): boolean {
    if (this.#closedFor !== null || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(frame);
    return true;
  }

  #fail(code: ErrorCode, message: string, targetId?: string): void {
    this.#events.failed(code, this.address, this.#client?.id);
    this.send(errorFrame(code, message, targetId));
  }

  /** Tells the client what is wrong, and closes. */
  reject(code: ErrorCode & CloseReason, message: string): void {
    this.#fail(code, message);
    this.close(code);
  }

  replaced(): void {
    this.reject("replaced", "A newer connection has registered this ID.");
  }

  /** Takes the client out of the router and begins to close; from here on nothing is read or sent. */
  close(reason: CloseReason): void {
    if (this.#closedFor !== null) return;
    this.#closedFor = reason;
    this.#leave();
    this.#closeSocket(reason);
  }

  #closeSocket(reason: CloseReason): void {
    this.#socket.close(CLOSE_CODES[reason], reason);
  }

  /** The socket has ended, in whatever way. */
  ended(): void {
    this.#leave();
  }

  #leave(): void {
    if (this.#client !== null) this.#router.unregister(this.#client, this);
    this.#client = null;
  }
}
