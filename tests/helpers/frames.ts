/** The bytes of WebSocket frames (RFC 6455 section 5.2), also of those that break the rules. */

export const OPCODE = {
  CONTINUATION: 0x0,
  TEXT: 0x1,
  BINARY: 0x2,
  CLOSE: 0x8,
  PING: 0x9,
  PONG: 0xa,
} as const;

/** The fields of a frame; by default those of a text frame from a well-behaved client. */
export interface FrameShape {
  readonly opcode?: number;
  readonly payload?: string | Uint8Array;
  /** True if it ends its message. */
  readonly fin?: boolean;
  /** The three reserved bits, as a number from 0 to 7. */
  readonly reserved?: number;
  /** Clients have to mask; a zero mask leaves the payload as it is. */
  readonly masked?: boolean;
  /** The value of the length field, if it is not the payload's length. */
  readonly claimedBytes?: bigint;
}

const MASK = Uint8Array.of(0x5a, 0xc3, 0x0f, 0x96);

/** The bytes of one frame from a client. */
export function frameBytes(shape: FrameShape = {}): Uint8Array<ArrayBuffer> {
  const { opcode = OPCODE.TEXT, fin = true, reserved = 0, masked = true } = shape;
  const payload = toBytes(shape.payload ?? "");
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const length = lengthBytes(shape.claimedBytes ?? BigInt(payload.length), masked);
  const mask = masked ? MASK : new Uint8Array();
  const body = masked ? payload.map((byte, at) => byte ^ MASK[at % MASK.length]!) : payload;
  return concat(Uint8Array.of(first), length, mask, body);
}

/** The length field, with the mask bit; a claim of more than 32 bits is written in 64. */
function lengthBytes(claimed: bigint, masked: boolean): Uint8Array {
  const maskBit = masked ? 0x80 : 0;
  const bytes = new Uint8Array(claimed < 126n ? 1 : claimed < 65536n ? 3 : 9);
  const view = new DataView(bytes.buffer);
  if (bytes.length === 1) {
    view.setUint8(0, maskBit | Number(claimed));
  } else if (bytes.length === 3) {
    view.setUint8(0, maskBit | 126);
    view.setUint16(1, Number(claimed));
  } else {
    view.setUint8(0, maskBit | 127);
    view.setBigUint64(1, claimed);
  }
  return bytes;
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: string | Uint8Array = ""): Uint8Array {
  return concat(Uint8Array.of(code >> 8, code & 0xff), toBytes(reason));
}

/** A frame as it came from the server. */
export interface ReceivedFrame {
  readonly opcode: number;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** The first frame in `bytes`, and its number of bytes; null if it is incomplete. */
export function readFrame(
  bytes: Uint8Array<ArrayBuffer>,
): { readonly frame: ReceivedFrame; readonly size: number } | null {
  if (bytes.length < 2) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const short = bytes[1]! & 0x7f;
  const start = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < start) return null;
  const length = short < 126
    ? short
    : short === 126
    ? view.getUint16(2)
    : Number(view.getBigUint64(2));
  const size = start + length;
  if (bytes.length < size) return null;
  return { frame: { opcode: bytes[0]! & 0x0f, payload: bytes.slice(start, size) }, size };
}

/** Puts pieces together; text as UTF-8. */
export function concat(...pieces: readonly (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const parts = pieces.map(toBytes);
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

function toBytes(piece: string | Uint8Array): Uint8Array {
  return typeof piece === "string" ? new TextEncoder().encode(piece) : piece;
}
