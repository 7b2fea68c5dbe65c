/**
 * A WebSocket client (RFC 6455) over a connection that is open already. The runtime's own says neither why an upgrade was
 * refused, nor can it ask this machine for the certificate of another name.
 */

import { createHash, randomBytes } from "node:crypto";
import { within } from "../clock.ts";
import { messageOf } from "../log.ts";
import { Failure, quote } from "./failure.ts";

/** Time for the answer to an upgrade, in milliseconds. */
const ANSWER_TIMEOUT_MS = 5000;
/** Time for the body of a refusal, and for the answer to a close, in milliseconds. */
const REST_TIMEOUT_MS = 500;
/** Upper bound of the head of an answer, and of what is read of a body, in bytes. */
const MAX_HEAD_BYTES = 65_536;
/** Upper bound of a message, in bytes: the check sends none that is nearly as large. */
const MAX_MESSAGE_BYTES = 2 ** 20;

const OPCODE = { CONTINUATION: 0, TEXT: 1, CLOSE: 8, PING: 9, PONG: 10 } as const;
const NORMAL_CLOSURE = 1000;
/** The code of an end without a close frame (RFC 6455 section 7.1.5). */
const ABNORMAL_CLOSURE = 1006;
/** Appended to the key for the digest in the answer (RFC 6455 section 1.3). */
const KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** An answer to an HTTP request. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The body, or its beginning. */
  readonly body: string;
}

/** The end of a connection. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

/** Sends a GET, and resolves with the answer. Closes the connection. */
export async function get(connection: Deno.Conn, url: URL): Promise<HttpAnswer> {
  try {
    const { answer } = await request(connection, url, { connection: "close" });
    return answer;
  } finally {
    tryClose(connection);
  }
}

/**
 * Opens a WebSocket. Resolves with the answer if that is a refusal; then the connection is closed.
 *
 * @param origin of a browser's page; null is none
 * @throws {Failure} if no answer comes, or one that is not HTTP
 */
export async function openWebSocket(
  connection: Deno.Conn,
  url: URL,
  origin: string | null,
): Promise<CheckSocket | HttpAnswer> {
  const key = randomBytes(16).toString("base64");
  try {
    const { answer, rest } = await request(connection, url, {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-key": key,
      "sec-websocket-version": "13",
      ...(origin !== null && { origin }),
    });
    if (answer.status === 101) {
      const digest = createHash("sha1").update(key + KEY_SUFFIX).digest("base64");
      if (answer.headers.get("sec-websocket-accept") === digest) {
        return new CheckSocket(connection, rest);
      }
      throw new Failure(
        "The upgrade is answered with a wrong Sec-WebSocket-Accept. A cache stands before the " +
          "server, most likely: exempt this path from it.",
      );
    }
    tryClose(connection);
    return answer;
  } catch (error) {
    tryClose(connection);
    throw error;
  }
}

async function request(connection: Deno.Conn, url: URL, headers: Record<string, string>) {
  const lines = Object.entries({ host: url.host, ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = `GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines}\r\n`;
  await writeAll(connection, new TextEncoder().encode(head));
  const reading = readHead(connection);
  const timeout = new Failure(
    "The server accepts the connection, but does not answer within 5 s. It hangs, or it is no " +
      "web server.",
  );
  const bytes = await within(ANSWER_TIMEOUT_MS, reading, timeout);
  const end = bytes.indexOf("\r\n\r\n");
  const answer = parseHead(bytes.slice(0, end < 0 ? undefined : end));
  const rest = bytes.slice(end + 4);
  if (answer.status === 101) return { answer, rest: Uint8Array.from(rest, charCode) };
  const body = new TextDecoder().decode(
    Uint8Array.from(await readBody(connection, answer.headers, rest), charCode),
  );
  return { answer: { ...answer, body }, rest: new Uint8Array() };
}

const charCode = (character: string) => character.charCodeAt(0);

/** Reads at least the head of an answer, as Latin-1. */
async function readHead(connection: Deno.Conn): Promise<string> {
  let text = "";
  while (!text.includes("\r\n\r\n")) {
    const part = await readSome(connection);
    if (part === null || text.length > MAX_HEAD_BYTES) break;
    text += part;
    if (!"HTTP/1".startsWith(text.slice(0, 6))) break;
  }
  return text;
}

/** @throws {Failure} if it is not the head of an HTTP answer */
function parseHead(text: string): HttpAnswer {
  const [first = "", ...lines] = text.split("\r\n");
  const [, status] = /^HTTP\/1\.[01] (\d{3})/.exec(first) ?? [];
  if (status === undefined) throw new Failure(explainNoHttp(text));
  const headers = new Headers();
  for (const line of lines) {
    const [, name, value] = /^([\w-]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (name !== undefined) headers.append(name, value!.replaceAll(/[^\x20-\x7e]/g, "?"));
  }
  return { status: Number(status), headers, body: "" };
}

function explainNoHttp(text: string): string {
  const wrongPort = "Another program has this port: give the one that signalbox prints at its " +
    "start, or that of the proxy before it.";
  const isTlsRecord = text.charCodeAt(0) >= 20 && text.charCodeAt(0) <= 23; // RFC 8446 section 5.1
  if (isTlsRecord && text.charCodeAt(1) === 3) {
    return "The port speaks TLS: write wss:// (or https://) instead of ws://.";
  }
  if (text === "") return `The connection was ended without an answer. ${wrongPort}`;
  return `What answers is not HTTP: ${quote(text)}. ${wrongPort}`;
}

/** Reads the body, or what comes of it in time. */
async function readBody(connection: Deno.Conn, headers: Headers, rest: string): Promise<string> {
  const length = Number(headers.get("content-length") ?? Infinity);
  let body = rest;
  const reading = (async () => {
    while (body.length < length && body.length < MAX_HEAD_BYTES) {
      const part = await readSome(connection);
      if (part === null) return;
      body += part;
    }
  })();
  await within(REST_TIMEOUT_MS, reading, new Failure("late")).catch(() => {}); // a part of it will do
  return body;
}

/** Returns what has come, as Latin-1; null if the connection has ended. */
async function readSome(connection: Deno.Conn): Promise<string | null> {
  const buffer = new Uint8Array(16_384);
  const count = await connection.read(buffer).catch(() => null);
  if (count === null) return null;
  return Array.from(buffer.subarray(0, count), (byte) => String.fromCharCode(byte)).join("");
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await connection.write(bytes.subarray(written));
  }
}

function tryClose(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // it has ended
  }
}

interface Frame {
  readonly isLast: boolean;
  readonly opcode: number;
  readonly payload: Uint8Array;
}

/** An open WebSocket. It answers pings, as every client does. */
export class CheckSocket {
  readonly #connection: Deno.Conn;
  #bytes: Uint8Array;
  readonly #messages: string[] = [];
  #onChange = Promise.withResolvers<void>();
  #ending: Ending | null = null;
  /** Frames go out one after the other. */
  #writing: Promise<void> = Promise.resolve();
  /** Resolves when the connection has ended, however it has. */
  readonly ended: Promise<Ending>;

  /** @param bytes what came behind the answer to the upgrade */
  constructor(connection: Deno.Conn, bytes: Uint8Array) {
    this.#connection = connection;
    this.#bytes = bytes;
    this.ended = this.#readAll();
  }

  /** Null while it is open. */
  get ending(): Ending | null {
    return this.#ending;
  }

  send(text: string): Promise<void> {
    return this.#sendFrame(OPCODE.TEXT, new TextEncoder().encode(text));
  }

  /** Resolves with the next message; null if the connection ends first. */
  async next(): Promise<string | null> {
    while (this.#messages.length === 0 && this.#ending === null) await this.#onChange.promise;
    return this.#messages.shift() ?? null;
  }

  /** Closes in good order, or after a moment without an answer. */
  async close(): Promise<void> {
    const code = new Uint8Array([NORMAL_CLOSURE >> 8, NORMAL_CLOSURE & 255]);
    await this.#sendFrame(OPCODE.CLOSE, code);
    await within(REST_TIMEOUT_MS, this.ended, new Failure("late")).catch(() => {}); // errors are thrown below
    tryClose(this.#connection);
    await this.ended;
  }

  async #readAll(): Promise<Ending> {
    let ending: Ending = { code: ABNORMAL_CLOSURE, reason: "" };
    try {
      ending = await this.#readMessages();
    } catch (error) {
      ending = { code: ABNORMAL_CLOSURE, reason: messageOf(error) };
    }
    this.#ending = ending;
    this.#changed();
    tryClose(this.#connection);
    return ending;
  }

  async #readMessages(): Promise<Ending> {
    const fragments: Uint8Array[] = [];
    while (true) {
      const frame = await this.#readFrame();
      if (frame === null) return { code: ABNORMAL_CLOSURE, reason: "" };
      const { opcode, payload, isLast } = frame;
      if (opcode === OPCODE.CLOSE) {
        await this.#sendFrame(OPCODE.CLOSE, payload.subarray(0, 2));
        const code = payload.length < 2 ? 1005 : payload[0]! << 8 | payload[1]!;
        return { code, reason: new TextDecoder().decode(payload.subarray(2)) };
      }
      if (opcode === OPCODE.PING) await this.#sendFrame(OPCODE.PONG, payload);
      if (opcode > OPCODE.TEXT) continue;
      fragments.push(payload);
      if (!isLast) continue;
      this.#messages.push(new TextDecoder().decode(concat(fragments.splice(0))));
      this.#changed();
    }
  }

  #changed(): void {
    this.#onChange.resolve();
    this.#onChange = Promise.withResolvers();
  }

  async #readFrame(): Promise<Frame | null> {
    if (!await this.#have(2)) return null;
    const [first, second] = [this.#bytes[0]!, this.#bytes[1]!];
    const extra = second === 127 ? 8 : second === 126 ? 2 : 0;
    if (!await this.#have(2 + extra)) return null;
    let size = extra === 0 ? second : 0;
    for (const byte of this.#bytes.subarray(2, 2 + extra)) size = size * 256 + byte;
    if (second > 127 || size > MAX_MESSAGE_BYTES) throw new Error("a frame that breaks RFC 6455");
    if (!await this.#have(2 + extra + size)) return null;
    const payload = this.#bytes.slice(2 + extra, 2 + extra + size);
    this.#bytes = this.#bytes.subarray(2 + extra + size);
    return { isLast: first > 127, opcode: first & 15, payload };
  }

  /** Reads until `count` bytes are there; false if the connection ends first. */
  async #have(count: number): Promise<boolean> {
    const parts = [this.#bytes];
    let size = this.#bytes.length;
    while (size < count) {
      const buffer = new Uint8Array(16_384);
      const read = await this.#connection.read(buffer);
      if (read === null) return false;
      parts.push(buffer.subarray(0, read));
      size += read;
    }
    if (parts.length > 1) this.#bytes = concat(parts);
    return true;
  }

  /** Sends a masked frame (RFC 6455 section 5.3). A connection that has ended is seen by the reader. */
  #sendFrame(opcode: number, payload: Uint8Array): Promise<void> {
    const { length } = payload;
    const size = length < 126
      ? [length]
      : length < 65_536
      ? [126, length >> 8, length & 255]
      : [127, 0, 0, 0, 0, length >>> 24, length >> 16 & 255, length >> 8 & 255, length & 255];
    const mask = randomBytes(4);
    const masked = payload.map((byte, index) => byte ^ mask[index % 4]!);
    const head = [128 | opcode, 128 | size[0]!, ...size.slice(1), ...mask];
    const frame = concat([new Uint8Array(head), masked]);
    this.#writing = this.#writing.then(() => writeAll(this.#connection, frame))
      .catch(() => {}); // the reader notices that the connection has ended
    return this.#writing;
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
