/** Connections without a network: fake sockets and a clock that the test moves, around a real router. */

import type { Authenticator } from "../../lib/auth/tokens.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Emit } from "../../lib/events.ts";
import {
  Connection,
  type ConnectionDeps,
  type ConnectionOptions,
  type Socket,
} from "../../lib/relay/connection.ts";
import { signalbox } from "../../lib/dialects/signalbox.ts";
import { Capacity, type CapacityOptions } from "../../lib/relay/capacity.ts";
import {
  type Directory,
  type DirectoryOptions,
  LocalDirectory,
} from "../../lib/relay/directory.ts";
import { Registrar } from "../../lib/relay/registration.ts";
import { Router } from "../../lib/relay/router.ts";
import { BufferedTotal } from "../../lib/relay/send_buffer.ts";
import { CLOSE_CODES, type Dialect } from "../../lib/relay/vocabulary.ts";
import { FakeClock } from "./clock.ts";
import type { Message } from "./client.ts";
import { RecordedEvents } from "./events.ts";

/** A WebSocket that writes down what the server does with it. */
export class FakeSocket implements Socket {
  readyState: number = WebSocket.OPEN;
  bufferedAmount = 0;
  readonly sent: string[] = [];
  /** Code and reason of the close; null while it is open. */
  closed: { readonly code: number; readonly reason: string } | null = null;
  #onOpen = () => {};

  addEventListener(_type: "open", listener: () => void): void {
    this.#onOpen = listener;
  }

  /** The upgrade is done. */
  open(): void {
    this.readyState = WebSocket.OPEN;
    this.#onOpen();
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(code: number, reason: string): void {
    this.closed = { code, reason };
    this.readyState = WebSocket.CLOSING;
  }
}

/** A client with its connection to the server. */
export class FakePeer<S extends FakeSocket = FakeSocket> {
  #read = 0;

  constructor(readonly socket: S, readonly connection: Connection) {}

  /** Sends messages: texts as they are, objects as JSON. */
  send(...messages: readonly (Message | string | ArrayBuffer)[]): void {
    for (const message of messages) {
      const isRaw = typeof message === "string" || message instanceof ArrayBuffer;
      this.connection.receive(isRaw ? message : JSON.stringify(message));
    }
  }

  /** Returns what it has received since the last call. */
  texts(): string[] {
    const texts = this.socket.sent.slice(this.#read);
    this.#read = this.socket.sent.length;
    return texts;
  }

  /** Returns what it has received since the last call. */
  messages(): Message[] {
    return this.texts().map((text) => JSON.parse(text));
  }

  /** Code and reason with which the server closes it, now or after the linger time: `1008 not_registered`. */
  get closed(): string | null {
    const reason = this.connection.closedFor;
    return reason && `${CLOSE_CODES[reason]} ${reason}`;
  }
}

export type SwitchboardOptions = Partial<
  ConnectionOptions & DirectoryOptions & CapacityOptions & { maxBufferedTotalBytes: number }
>;

const ADDRESS = "192.0.2.1";

interface Shared {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly authenticator?: Authenticator | null;
  readonly dialects?: readonly Dialect[];
}

type AllOptions = Required<SwitchboardOptions>;

/** Returns what the connections of a server share. Without options there are no limits, no mailbox and no resume. */
export function depsOf(
  options: SwitchboardOptions,
  { clock, emit, authenticator = null, dialects = [] }: Shared,
  makeDirectory: (router: Router, options: AllOptions) => Directory,
) {
  const all: AllOptions = {
    maxMessageSizeBytes: 65536,
    maxBufferedBytes: 1024 * 1024,
    maxBufferedTotalBytes: Infinity,
    rateLimitPerSecond: 0,
    rateBurst: 1,
    idleTimeoutMs: 30_000,
    onDuplicate: "replace",
    mailboxTtlMs: 0,
    resumeTtlMs: 0,
    maxConnections: 0,
    maxConnectionsPerIp: 0,
    ...options,
  };
  const capacity = new Capacity(all);
  const router = new Router(all, capacity, clock, emit, (router) => makeDirectory(router, all));
  return {
    options: all,
    capacity,
    registrar: new Registrar({ router, capacity, authenticator, iceServersFor: null }),
    router,
    dialects: [...dialects, signalbox] as const,
    bufferedTotal: new BufferedTotal(all.maxBufferedTotalBytes),
    clock,
    emit,
  };
}

export class Switchboard {
  readonly clock = new FakeClock();
  readonly events = new RecordedEvents();
  readonly router: Router;
  /** Connections that have registered, in the order in which they did. */
  readonly registered: Connection[] = [];
  readonly capacity: Capacity;
  readonly bufferedTotal: BufferedTotal;
  readonly #deps: ConnectionDeps;

  /** Makes a switchboard; without options there are no limits, no mailbox and no resume. */
  constructor(
    options: SwitchboardOptions = {},
    authenticator: Authenticator | null = null,
    dialects: readonly Dialect[] = [],
  ) {
    const { clock, events: { emit } } = this;
    const deps = depsOf(
      options,
      { clock, emit, authenticator, dialects },
      (router, options) => new LocalDirectory(options, router, clock, emit),
    );
    this.router = deps.router;
    this.capacity = deps.capacity;
    this.bufferedTotal = deps.bufferedTotal;
    this.#deps = { ...deps, onRegistered: (connection) => this.registered.push(connection) };
  }

  /** A client that has connected. */
  connect(url = "http://host/", address = ADDRESS): FakePeer {
    return this.attach(new FakeSocket(), url, address);
  }

  /** A client that has connected with a socket of its own kind. */
  attach<S extends FakeSocket>(
    socket: S,
    url = "http://host/",
    address = ADDRESS,
  ): FakePeer<S> {
    return new FakePeer(
      socket,
      new Connection(
        socket,
        { address, url, token: new URL(url).searchParams.get("token") },
        this.#deps,
      ),
    );
  }

  /** A client that has registered, and has read the answer. */
  register(clientId: string, more: Message = {}): FakePeer {
    const peer = this.connect();
    peer.send({ type: "register", client_id: clientId, ...more });
    peer.texts();
    return peer;
  }

  registerAll<const Ids extends readonly string[]>(
    ...clientIds: Ids
  ): { [Index in keyof Ids]: FakePeer } {
    return clientIds.map((id) => this.register(id)) as { [Index in keyof Ids]: FakePeer };
  }
}
