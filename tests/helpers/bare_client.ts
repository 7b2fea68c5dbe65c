/** A client that can do what a WebSocket library does not: send headers and any close code, and vanish without one. */

import type { Message } from "./client.ts";
import { closePayload, OPCODE } from "./frames.ts";
import { RawPeer, UPGRADE_HEADERS, upgradeRequest } from "./raw_peer.ts";

export class BareClient implements Disposable {
  readonly #peer: RawPeer;
  /** The answer to its registration. */
  registered: Message = {};

  private constructor(peer: RawPeer) {
    this.#peer = peer;
  }

  /** Resolves once the connection is open; rejects if it is refused. */
  static async connect(url: string, headers: Record<string, string> = {}): Promise<BareClient> {
    const { pathname, search } = new URL(url);
    const peer = await RawPeer.connect(url);
    const requestLine = `GET ${pathname}${search} HTTP/1.1`;
    await peer.write(upgradeRequest({ ...UPGRADE_HEADERS, ...headers }, requestLine));
    const head = await peer.readHead();
    if (head.startsWith("HTTP/1.1 101 ")) return new BareClient(peer);
    peer.close();
    throw new Error(head);
  }

  /** Connects, registers, and awaits the answer. */
  static async register(url: string, clientId: string, more: Message = {}): Promise<BareClient> {
    const client = await BareClient.connect(url);
    await client.send({ type: "register", client_id: clientId, ...more });
    client.registered = await client.next();
    return client;
  }

  send(message: Message): Promise<void> {
    return this.#peer.sendText(JSON.stringify(message));
  }

  /** The next message. Throws if the connection ends instead. */
  async next(): Promise<Message> {
    const frame = await this.#peer.readFrame();
    if (frame?.opcode === OPCODE.PING) return await this.next();
    if (frame?.opcode === OPCODE.TEXT) return JSON.parse(new TextDecoder().decode(frame.payload));
    throw new Error("the connection ended while a message was awaited");
  }

  /** Closes with a close frame, which may have any code or none, and awaits the end. */
  async close(code?: number): Promise<void> {
    const payload = code === undefined ? "" : closePayload(code);
    await this.#peer.send({ opcode: OPCODE.CLOSE, payload });
    await this.#peer.readToEnd();
    this.cut();
  }

  /** Ends the connection as a lost network does: without a close frame. */
  cut(): void {
    this.#peer.close();
  }

  [Symbol.dispose](): void {
    this.cut();
  }
}
