/** WebSocket frames (RFC 6455 section 5) as a client sends and receives them: text, unfragmented, under 64 KiB. */

const FIN = 0x80;
const MASKED = 0x80;
export const OPCODE = { TEXT: 1, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** Any key does: it hides frames from proxies, not from the server, which has to unmask with whatever it gets. */
const KEY = [0x5a, 0xc3, 0x17, 0x8e] as const;

/** A masked frame. */
export function clientFrame(opcode: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const isShort = payload.length < 126;
  const header = isShort
    ? [FIN | opcode, MASKED | payload.length]
    : [FIN | opcode, MASKED | 126, payload.length >> 8, payload.length & 0xff];
  const frame = new Uint8Array(header.length + KEY.length + payload.length);
  frame.set(header);
  frame.set(KEY, header.length);
  const start = header.length + KEY.length;
  for (let i = 0; i < payload.length; i++) frame[start + i] = payload[i]! ^ KEY[i % 4]!;
  return frame;
}

/** A masked text frame with a place for a number, which can be written in without masking the frame anew. */
export class NumberedFrame {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #place: NumberPlace;
  readonly #payloadStart: number;

  /** @param text with {@link PLACEHOLDER} once in it */
  constructor(text: string) {
    const payload = new TextEncoder().encode(text);
    this.bytes = clientFrame(OPCODE.TEXT, payload);
    this.#payloadStart = this.bytes.length - payload.length;
    this.#place = findNumber(payload);
  }

  /** The frame with `number` in it. The next call overwrites it. */
  with(number: number): Uint8Array<ArrayBuffer> {
    writeDigits(number, this.#place, (at, digit) => {
      this.bytes[this.#payloadStart + at] = digit ^ KEY[at % 4]!;
    });
    return this.bytes;
  }
}

/** What a message has where its number will stand. */
export const PLACEHOLDER = "00000000";

/** Where a number's digits stand: index of the first. */
export type NumberPlace = number;

/** Finds {@link PLACEHOLDER} in a text's bytes. */
export function findNumber(payload: Uint8Array): NumberPlace {
  const text = new TextDecoder("latin1").decode(payload);
  const place = text.indexOf(PLACEHOLDER);
  if (place < 0 || text.indexOf(PLACEHOLDER, place + 1) >= 0) {
    throw new Error(`a message needs ${PLACEHOLDER} exactly once: ${text.slice(0, 200)}`);
  }
  return place;
}

/** Hands over the digits of `number`, as many as {@link PLACEHOLDER} has. */
export function writeDigits(
  number: number,
  place: NumberPlace,
  put: (at: number, digit: number) => void,
): void {
  let rest = number;
  for (let at = place + PLACEHOLDER.length - 1; at >= place; at--) {
    put(at, 0x30 + rest % 10);
    rest = Math.floor(rest / 10);
  }
}

/** A frame that has come: where its payload stands, and where the next frame begins. */
export interface ReceivedFrame {
  opcode: number;
  start: number;
  end: number;
}

/**
 * Reads the header of the frame at `at` into `frame`.
 *
 * @returns false where it is not all there yet
 * @throws {Error} for what no server may send to these clients
 */
export function readFrame(
  bytes: Uint8Array,
  at: number,
  length: number,
  frame: ReceivedFrame,
): boolean {
  if (length - at < 2) return false;
  const first = bytes[at]!;
  const short = bytes[at + 1]!;
  if ((first & 0xf0) !== FIN || short > 126) {
    throw new Error(`unexpected frame header ${first.toString(16)} ${short.toString(16)}`);
  }
  if (short === 126 && length - at < 4) return false;
  frame.opcode = first & 0x0f;
  frame.start = at + (short === 126 ? 4 : 2);
  frame.end = frame.start + (short === 126 ? bytes[at + 2]! << 8 | bytes[at + 3]! : short);
  return frame.end <= length;
}
