/** WebSocket frames (RFC 6455 section 5) as these clients write and read them: unfragmented; their own are under 64 KiB. */

const FIN = 0x80;
const MASKED = 0x80;
/** Value in place of a length: the length follows, in two bytes. */
const LENGTH_FOLLOWS = 126;
/** The same, in eight bytes. */
const LONG_LENGTH_FOLLOWS = 127;

export const OPCODE = { TEXT: 1, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** The masking key of all frames: the server unmasks with any key at the same cost. */
export const MASKING_KEY = [0x5a, 0xc3, 0x17, 0x8e] as const;

/** A client's frame, masked. */
export function clientFrame(opcode: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const length = payload.length;
  const header = length < LENGTH_FOLLOWS
    ? [FIN | opcode, MASKED | length]
    : [FIN | opcode, MASKED | LENGTH_FOLLOWS, length >> 8, length & 0xff];
  const frame = new Uint8Array(header.length + MASKING_KEY.length + length);
  frame.set(header);
  frame.set(MASKING_KEY, header.length);
  const start = header.length + MASKING_KEY.length;
  for (let i = 0; i < length; i++) frame[start + i] = payload[i]! ^ MASKING_KEY[i % 4]!;
  return frame;
}

/** The bounds of the payload in a server's frame. */
export interface ReceivedFrame {
  opcode: number;
  start: number;
  end: number;
}

/**
 * Reads the header of the frame at `at` into `frame`.
 *
 * @param length how far `bytes` are filled
 * @returns false if the frame is not all there yet
 * @throws {Error} for a frame that a server has no reason to send to these clients
 */
export function readFrame(
  bytes: Uint8Array,
  at: number,
  length: number,
  frame: ReceivedFrame,
): boolean {
  if (length - at < 2) return false;
  const first = bytes[at]!;
  const second = bytes[at + 1]!;
  if ((first & 0xf0) !== FIN || second > LONG_LENGTH_FOLLOWS) {
    throw new Error(`a frame begins with bytes ${first} and ${second}, which is not expected here`);
  }
  const lengthBytes = second === LENGTH_FOLLOWS ? 2 : second === LONG_LENGTH_FOLLOWS ? 8 : 0;
  frame.opcode = first & 0x0f;
  frame.start = at + 2 + lengthBytes;
  if (frame.start > length) return false;
  let size = lengthBytes === 0 ? second : 0;
  for (let i = at + 2; i < frame.start; i++) size = 256 * size + bytes[i]!;
  frame.end = frame.start + size;
  return frame.end <= length;
}
