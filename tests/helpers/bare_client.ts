/** A WebSocket client without a library, for what a library does not do: headers, any close code, a loss without a close. */

import type { Frame } from "./client.ts";

const OPCODE = { TEXT: 1, BINARY: 2, CLOSE: 8 } as const;
/** RFC 6455 section 5.2: the final fragment; the payload is masked. */
const FIN = 0x80;
const MASKED = 0x80;

export class BareClient implements Disposable {
  readonly #conn: Deno.Conn;
  #unread: Uint8Array<ArrayBuffer> = new Uint8Array();
  #isCut = false;
  /** The answer to its registration. */
  registered: Frame = {};

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Resolves once the connection is open; rejects where it is refused. */
  static async connect(url: string, headers: Record<string, string> = {}): Promise<BareClient> {
    const { hostname, port, pathname, search } = new URL(url);
    const client = new BareClient(await Deno.connect({ hostname, port: Number(port) }));
    const lines = Object.entries({ ...UPGRADE, host: `${hostname}:${port}`, ...headers })
      .map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `GET ${pathname}${search} HTTP/1.1\r\n${lines.join("")}\r\n`;
    await client.#write(new TextEncoder().encode(head));
    const answer = await client.#readHead();
    if (answer.startsWith("HTTP/1.1 101 ")) return client;
    client.cut();
    throw new Error(answer);
  }

  /** Connects, registers, and awaits the answer. */
  static async register(url: string, clientId: string, more: Frame = {}): Promise<BareClient> {
    const client = await BareClient.connect(url);
    await client.send({ type: "register", client_id: clientId, ...more });
    client.registered = await client.next();
    return client;
  }

  send(frame: Frame): Promise<void> {
    return this.#write(frameBytes(OPCODE.TEXT, new TextEncoder().encode(JSON.stringify(frame))));
  }

  sendBinary(): Promise<void> {
    return this.#write(frameBytes(OPCODE.BINARY, new Uint8Array(1)));
  }

  /** The next frame. Throws where the connection is closed instead. */
  async next(): Promise<Frame> {
    const { opcode, payload } = await this.#readFrame();
    const text = new TextDecoder().decode(payload.subarray(opcode === OPCODE.CLOSE ? 2 : 0));
    if (opcode !== OPCODE.TEXT) throw new Error(`no message, but opcode ${opcode}: ${text}`);
    return JSON.parse(text);
  }

  /** Closes with a close frame, which may have any code or none, and awaits the end. */
  async close(code?: number): Promise<void> {
    const payload = code === undefined ? [] : [code >> 8, code & 0xff];
    await this.#write(frameBytes(OPCODE.CLOSE, new Uint8Array(payload)));
    while ((await this.#readFrame()).opcode !== OPCODE.CLOSE);
    this.cut();
  }

  /** Ends the connection as a lost network does: without a close frame. */
  cut(): void {
    if (!this.#isCut) this.#conn.close();
    this.#isCut = true;
  }

  [Symbol.dispose](): void {
    this.cut();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
  }

  async #readHead(): Promise<string> {
    let head = "";
    while (!head.endsWith("\r\n\r\n")) head += String.fromCharCode(...await this.#take(1));
    return head;
  }

  /** Servers do not mask, and this one does not fragment. */
  async #readFrame(): Promise<{ readonly opcode: number; readonly payload: Uint8Array }> {
    const [first = 0, short = 0] = await this.#take(2);
    const length = short < 126 ? short : await this.#takeLength(short === 126 ? 2 : 8);
    return { opcode: first & 0x0f, payload: await this.#take(length) };
  }

  async #takeLength(size: number): Promise<number> {
    return (await this.#take(size)).reduce((length, byte) => length * 256 + byte, 0);
  }

  async #take(count: number): Promise<Uint8Array> {
    while (this.#unread.length < count) {
      const chunk = new Uint8Array(65536);
      const size = await this.#conn.read(chunk);
      if (size === null) throw new Error("the server ended the connection");
      const all = new Uint8Array(this.#unread.length + size);
      all.set(this.#unread);
      all.set(chunk.subarray(0, size), this.#unread.length);
      this.#unread = all;
    }
    const taken = this.#unread.subarray(0, count);
    this.#unread = this.#unread.subarray(count);
    return taken;
  }
}

const UPGRADE = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
};

/** A frame as a client sends it, with a mask of zeros. */
function frameBytes(opcode: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  const size = length < 126 ? [length] : [126, length >> 8, length & 0xff];
  const [first = 0, ...more] = size;
  return new Uint8Array([FIN | opcode, MASKED | first, ...more, 0, 0, 0, 0, ...payload]);
}
