/** The load driver: many WebSocket clients in one thread, without promises, so that it costs far less than the server. */

import { clientFrame, OPCODE, readFrame, type ReceivedFrame } from "./frames.ts";
import { type Protocol, SIGNALBOX } from "./protocol.ts";
import { Sockets } from "./sockets.ts";

const RECEIVE_BUFFER_BYTES = 1024 * 1024;
const UPGRADED = "HTTP/1.1 101 ";
const END_OF_HEAD = "\r\n\r\n";
const TIMEOUT_MS = 20_000;
const OPENED_AT_ONCE = 64;

type State = "connecting" | "upgrading" | "registering" | "ready" | "closing" | "closed";

/** Gets a text message as bytes `start` to `end` of a buffer that is overwritten afterwards. */
type OnMessage = (bytes: Uint8Array, start: number, end: number) => void;

/** One client of a server. */
export class Client {
  state: State = "connecting";
  /** Gets the server's answer to `register`. */
  onRegistered: (answer: Readonly<Record<string, unknown>>) => void = () => {};
  onMessage: OnMessage = () => {};
  /** The beginning of a frame whose end has not come yet. */
  rest: Uint8Array | null = null;

  constructor(readonly id: string, readonly fd: number, readonly registration: readonly string[]) {}
}

export class Driver {
  readonly #sockets = new Sockets();
  readonly #clients: (Client | undefined)[] = [];
  readonly #buffer = new Uint8Array(RECEIVE_BUFFER_BYTES);
  readonly #frame: ReceivedFrame = { opcode: 0, start: 0, end: 0 };
  readonly #onReady = (fd: number) => this.#serve(fd);

  constructor(readonly protocol: Protocol = SIGNALBOX) {}

  /**
   * Begins to connect and register a client.
   *
   * @param more what `register` says beside the ID
   */
  open(port: number, id: string, more: Readonly<Record<string, unknown>> = {}): Client {
    const fd = this.#sockets.connect(port);
    const registration = this.protocol.registration(id, more);
    return this.#clients[fd] = new Client(id, fd, registration);
  }

  /**
   * Connects and registers clients, a few at a time, and waits until all are ready.
   *
   * @param more what `register` says beside the ID
   */
  openAll(
    port: number,
    ids: readonly string[],
    more: Readonly<Record<string, unknown>> = {},
  ): Client[] {
    const clients: Client[] = [];
    for (let first = 0; first < ids.length; first += OPENED_AT_ONCE) {
      const group = ids.slice(first, first + OPENED_AT_ONCE)
        .map((id) => this.open(port, id, more));
      this.waitUntil(() => group.every(({ state }) => state === "ready"));
      clients.push(...group);
    }
    return clients;
  }

  /** Closes clients as RFC 6455 wants it: a close frame, its answer, the end of the connection by the server. */
  closeAll(clients: readonly Client[]): void {
    for (const client of clients) {
      client.state = "closing";
      this.#sockets.send(client.fd, CLOSE_FRAME);
    }
    this.waitUntil(() => clients.every(({ state }) => state === "closed"));
  }

  /** Cuts connections without a word, as a network does. */
  cutAll(clients: readonly Client[]): void {
    for (const client of clients) this.#forget(client);
  }

  send(client: Client, frame: Uint8Array<ArrayBuffer>): void {
    this.#sockets.send(client.fd, frame);
  }

  /** Receives messages, and waits for them up to `timeoutMs` (0: not at all). */
  poll(timeoutMs: number): void {
    this.#sockets.wait(timeoutMs, this.#onReady);
  }

  /** Receives for a while. */
  pollFor(durationMs: number): void {
    const until = performance.now() + durationMs;
    while (performance.now() < until) this.poll(10);
  }

  /**
   * Receives until `isDone`.
   *
   * @param sleepMs the longest sleep if there is nothing to receive
   * @throws {Error} if it takes so long that something must be wrong
   */
  waitUntil(isDone: () => boolean, sleepMs = 10, timeoutMs = TIMEOUT_MS): void {
    const giveUpAt = performance.now() + timeoutMs;
    while (!isDone()) {
      this.poll(sleepMs);
      if (performance.now() > giveUpAt) throw new Error("the server does not answer");
    }
  }

  close(): void {
    for (const client of this.#clients) {
      if (client !== undefined) this.#sockets.closeSocket(client.fd);
    }
    this.#sockets.close();
  }

  #serve(fd: number): void {
    const client = this.#clients[fd];
    if (client === undefined) return;
    if (client.state === "connecting") return this.#upgrade(client);
    const length = this.#receive(client);
    if (length === 0) return this.#ended(client);
    if (client.state === "upgrading") this.#register(client, length);
    else this.#readFrames(client, length);
  }

  #upgrade(client: Client): void {
    const request = `GET ${this.protocol.target(client.id)} HTTP/1.1\r\n${UPGRADE_HEADERS}`;
    this.#sockets.send(client.fd, new TextEncoder().encode(request));
    this.#sockets.watchInput(client.fd);
    client.state = "upgrading";
  }

  /** Receives behind what was left over from before; returns 0 if the connection has ended. */
  #receive(client: Client): number {
    const { rest } = client;
    if (rest === null) return Math.max(0, this.#sockets.receive(client.fd, this.#buffer));
    const length = this.#sockets.receive(client.fd, this.#buffer);
    if (length <= 0) return 0;
    this.#buffer.copyWithin(rest.length, 0, length);
    this.#buffer.set(rest);
    client.rest = null;
    return rest.length + length;
  }

  #register(client: Client, length: number): void {
    const head = new TextDecoder().decode(this.#buffer.subarray(0, length));
    const end = head.indexOf(END_OF_HEAD); // a head is ASCII: as many bytes as characters
    if (end === -1) {
      client.rest = this.#buffer.slice(0, length);
      return;
    }
    if (!head.startsWith(UPGRADED)) throw new Error(`the upgrade was refused: ${head}`);
    client.state = "registering";
    for (const message of client.registration) {
      const text = new TextEncoder().encode(message);
      this.#sockets.send(client.fd, clientFrame(OPCODE.TEXT, text));
    }
    this.#readFrames(client, length, end + END_OF_HEAD.length);
  }

  #readFrames(client: Client, length: number, from = 0): void {
    const frame = this.#frame;
    let at = from;
    while (readFrame(this.#buffer, at, length, frame)) {
      const { end } = frame;
      this.#takeFrame(client, frame);
      at = end;
    }
    if (at < length) client.rest = this.#buffer.slice(at, length);
  }

  #takeFrame(client: Client, { opcode, start, end }: ReceivedFrame): void {
    if (opcode === OPCODE.TEXT) {
      if (client.state === "ready") client.onMessage(this.#buffer, start, end);
      else if (client.state === "registering") this.#checkRegistered(client, start, end);
    } else if (opcode === OPCODE.PING) {
      this.#sockets.send(client.fd, clientFrame(OPCODE.PONG, this.#buffer.slice(start, end)));
    } else if (opcode === OPCODE.CLOSE && client.state !== "closing") {
      throw new Error(`the server closed the connection of ${client.id}`);
    }
  }

  #checkRegistered(client: Client, start: number, end: number): void {
    const answer = JSON.parse(new TextDecoder().decode(this.#buffer.subarray(start, end)));
    if (!this.protocol.isRegistered(answer, client.id)) {
      throw new Error(`${client.id} could not register: ${JSON.stringify(answer)}`);
    }
    client.state = "ready";
    client.onRegistered(answer);
  }

  #ended(client: Client): void {
    if (client.state !== "closing") throw new Error(`the connection of ${client.id} broke`);
    this.#forget(client);
  }

  #forget(client: Client): void {
    client.state = "closed";
    this.#sockets.closeSocket(client.fd);
    this.#clients[client.fd] = undefined;
  }
}

const UPGRADE_HEADERS = [
  "Host: 127.0.0.1",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
].join("\r\n") + END_OF_HEAD;

/** Code 1000. */
const CLOSE_FRAME = clientFrame(OPCODE.CLOSE, new Uint8Array([0x03, 0xe8]));
