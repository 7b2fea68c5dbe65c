/** A WebSocket client for tests: what it gets is awaited message by message. */

import { within } from "../../lib/clock.ts";

export type Message = Record<string, unknown>;

/** Time limit of a message, in milliseconds: a test that waits in vain fails at the line that waits. */
const LIMIT_MS = 60_000;

export class TestClient {
  readonly #socket: WebSocket;
  readonly #messages: string[] = [];
  readonly #waiting: PromiseWithResolvers<string>[] = [];
  #end: Error | null = null;
  /** Resolves with the close event, however the connection ends. */
  readonly closed: Promise<CloseEvent>;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#put(data);
    const { promise, resolve } = Promise.withResolvers<CloseEvent>();
    this.closed = promise;
    socket.onclose = (event) => {
      resolve(event);
      this.#end = new Error(
        `closed with ${event.code} ${event.reason} while a message was awaited`,
      );
      for (const { reject } of this.#waiting) reject(this.#end);
    };
  }

  /** Resolves once the connection is open; rejects if it is refused. */
  static async connect(url: string): Promise<TestClient> {
    const socket = new WebSocket(url);
    const client = new TestClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = (event) => {
        reject(new Error(event instanceof ErrorEvent ? event.message : "refused"));
      };
    });
    socket.onerror = null;
    return client;
  }

  /** Connects, registers, and awaits the answer. */
  static async register(url: string, clientId: string, more: Message = {}): Promise<TestClient> {
    const client = await TestClient.connect(url);
    client.send({ type: "register", client_id: clientId, ...more });
    client.registered = await client.next();
    if (client.registered.type !== "registered") {
      throw new Error(`not registered: ${JSON.stringify(client.registered)}`);
    }
    return client;
  }

  /** Registers several clients, one after the other. */
  static async registerAll<const Ids extends readonly string[]>(
    url: string,
    ...clientIds: Ids
  ): Promise<{ [Index in keyof Ids]: TestClient }> {
    const clients: TestClient[] = [];
    for (const id of clientIds) clients.push(await TestClient.register(url, id));
    return clients as { [Index in keyof Ids]: TestClient };
  }

  /** The answer to its registration. */
  registered: Message = {};

  send(message: Message | string | Uint8Array<ArrayBuffer>): void {
    const isRaw = typeof message === "string" || message instanceof Uint8Array;
    this.#socket.send(isRaw ? message : JSON.stringify(message));
  }

  /** The next message, as text. Rejects when the connection ends first. */
  async nextText(): Promise<string> {
    const message = this.#messages.shift();
    if (message !== undefined) return message;
    if (this.#end !== null) throw this.#end;
    const waiting = Promise.withResolvers<string>();
    this.#waiting.push(waiting);
    const late = new Error(`no message for ${this.registered.client_id} within ${LIMIT_MS} ms`);
    return await within(LIMIT_MS, waiting.promise, late);
  }

  /** The next message. Rejects when the connection ends first. */
  async next(): Promise<Message> {
    return JSON.parse(await this.nextText());
  }

  /** Messages that have come and were not awaited. */
  get unread(): number {
    return this.#messages.length;
  }

  /** Closes, and awaits the end. Without a code the close frame has none. */
  async close(code?: number): Promise<void> {
    this.#socket.close(code);
    await this.closed;
  }

  /** Resolves with code and reason of the close, however the connection ends. */
  async ending(): Promise<[code: number, reason: string]> {
    const { code, reason } = await this.closed;
    return [code, reason];
  }

  #put(text: string): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve(text);
    else this.#messages.push(text);
  }
}
