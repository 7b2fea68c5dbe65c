/** Peer that sends any bytes, and reads only when a test asks for it: no WebSocket library does that. */

import {
  concat,
  frameBytes,
  type FrameShape,
  OPCODE,
  readFrame,
  type ReceivedFrame,
} from "./frames.ts";

/** The headers of a correct upgrade, in order. */
export const UPGRADE_HEADERS: Readonly<Record<string, string>> = {
  host: "localhost",
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  "sec-websocket-version": "13",
};

interface RawPeerOptions {
  /** Certificate that a server with TLS must have, PEM. */
  readonly caCert?: string;
  /** The IP address to connect to, in place of the URL's host. */
  readonly ipAddress?: string;
}

export class RawPeer implements Disposable {
  readonly #conn: Deno.Conn;
  #unread = new Uint8Array();
  #lastWrite: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Connects, and sends nothing. */
  static async connect(url: string, options: RawPeerOptions = {}): Promise<RawPeer> {
    const { hostname, port } = new URL(url);
    const { caCert, ipAddress = hostname } = options;
    const conn = await Deno.connect({ hostname: ipAddress, port: Number(port) });
    if (caCert === undefined) return new RawPeer(conn);
    return new RawPeer(await Deno.startTls(conn, { hostname, caCerts: [caCert] }));
  }

  /** Connects and becomes a WebSocket. `headers` go beside those of a correct upgrade, or replace them. */
  static async open(
    url: string,
    headers: Readonly<Record<string, string>> = {},
    options: RawPeerOptions = {},
  ): Promise<RawPeer> {
    const peer = await RawPeer.connect(url, options);
    try {
      const { pathname, search } = new URL(url);
      const requestLine = `GET ${pathname}${search} HTTP/1.1`;
      await peer.write(upgradeRequest({ ...UPGRADE_HEADERS, ...headers }, requestLine));
      const head = await peer.readHead();
      if (!head.startsWith("HTTP/1.1 101")) throw new Error(`refused: ${head}`);
      return peer;
    } catch (error) {
      peer.close();
      throw error;
    }
  }

  /** Becomes a WebSocket, registers, and reads the answer. From then on it reads nothing. */
  static async register(url: string, clientId: string, more: object = {}): Promise<RawPeer> {
    const peer = await RawPeer.open(url);
    await peer.sendText(JSON.stringify({ type: "register", client_id: clientId, ...more }));
    await peer.readFrame();
    return peer;
  }

  /** Sends bytes as they are, after what was sent before; text as UTF-8. */
  write(bytes: string | Uint8Array): Promise<void> {
    const all = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    const written = this.#lastWrite.then(() => this.#writeAll(all));
    this.#lastWrite = written.catch(() => {});
    return written;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
  }

  /** Sends one frame. */
  send(shape: FrameShape): Promise<void> {
    return this.write(frameBytes(shape));
  }

  /** Sends one text message. */
  sendText(payload: string): Promise<void> {
    return this.send({ payload });
  }

  /** Reads the head of an HTTP response, with the empty line behind it. */
  async readHead(): Promise<string> {
    while (true) {
      const text = new TextDecoder().decode(this.#unread);
      const end = text.indexOf("\r\n\r\n");
      if (end !== -1) {
        this.#unread = this.#unread.slice(end + 4); // a head is ASCII: as many bytes as characters
        return text.slice(0, end + 4);
      }
      if (!await this.#readMore()) throw new Error(`ended within a head: ${JSON.stringify(text)}`);
    }
  }

  /** Reads one frame; null if the connection ends instead. Pings are left unanswered. */
  async readFrame(): Promise<ReceivedFrame | null> {
    while (true) {
      const read = readFrame(this.#unread);
      if (read !== null) {
        this.#unread = this.#unread.slice(read.size);
        return read.frame;
      }
      if (!await this.#readMore()) return null;
    }
  }

  /** Reads on to the close frame, and returns its code and reason; null if the connection ends without one. */
  async readClose(): Promise<{ readonly code: number; readonly reason: string } | null> {
    for (let frame = await this.readFrame(); frame !== null; frame = await this.readFrame()) {
      if (frame.opcode !== OPCODE.CLOSE) continue;
      const [high = 0, low = 0] = frame.payload;
      return { code: high << 8 | low, reason: new TextDecoder().decode(frame.payload.subarray(2)) };
    }
    return null;
  }

  /** Reads to the end of the connection, and returns the number of bytes. */
  async readToEnd(): Promise<number> {
    let bytes = this.#unread.length;
    this.#unread = new Uint8Array();
    while (await this.#readMore()) {
      bytes += this.#unread.length;
      this.#unread = new Uint8Array();
    }
    return bytes;
  }

  /** False at the end, however it came about. */
  async #readMore(): Promise<boolean> {
    const chunk = new Uint8Array(65536);
    try {
      const count = await this.#conn.read(chunk);
      if (count === null) return false;
      this.#unread = concat(this.#unread, chunk.subarray(0, count));
      return true;
    } catch {
      return false; // reset, or closed by the test
    }
  }

  /**
   * Ends the connection with a reset instead of a FIN. The kernel sends one for a socket which is closed with something in
   * it that was not read. So it is to be called when the server has answered and nothing was read since.
   */
  async reset(): Promise<void> {
    await this.#conn.read(new Uint8Array(1)).catch(() => null); // the rest of the answer stays in the kernel
    this.close();
  }

  /** Closes the TCP connection, without a word. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Head of the answer to an upgrade. An accepted peer leaves at once. */
export async function answerToUpgrade(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  using peer = await RawPeer.connect(url);
  await peer.write(upgradeRequest({ ...UPGRADE_HEADERS, ...headers }));
  return await peer.readHead();
}

/** The text of an upgrade request. */
export function upgradeRequest(
  headers: Readonly<Record<string, string>> = UPGRADE_HEADERS,
  requestLine = "GET / HTTP/1.1",
): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${requestLine}\r\n${lines.join("")}\r\n`;
}
