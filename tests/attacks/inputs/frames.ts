/** Hostile frames: those that break RFC 6455, and those that it allows and no client needs. */

import { closePayload, concat, frameBytes, type FrameShape, OPCODE } from "../../helpers/frames.ts";
import { RawPeer } from "../../helpers/raw_peer.ts";
import { hitAndRun, type Kind, registered } from "./kind.ts";

const RESERVED_OPCODES = [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf];
const CONTROL_OPCODES = [OPCODE.PING, OPCODE.PONG, OPCODE.CLOSE];
/** Close codes that no endpoint may send (section 7.4). */
const BAD_CLOSE_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535];
/** Lengths over what the runtime takes, 64 MiB. */
const CLAIMS = [65n << 20n, 1n << 31n, 1n << 32n, 1n << 63n, (1n << 64n) - 1n];
const INVALID_UTF8 = [
  [0xff],
  [0xc3, 0x28],
  [0xe2, 0x82],
  [0xed, 0xa0, 0x80], // a surrogate
  [0xf4, 0x90, 0x80, 0x80], // past U+10FFFF
  [0xc0, 0xaf], // longer than it need be
];
const LONG_TEXT = "x".repeat(65536);

function text(payload: string | Uint8Array | readonly number[], more: FrameShape = {}) {
  return frameBytes({
    payload: Array.isArray(payload) ? Uint8Array.from(payload) : payload as string | Uint8Array,
    ...more,
  });
}

function repeat(count: number, bytes: Uint8Array): Uint8Array {
  return concat(...Array<Uint8Array>(count).fill(bytes));
}

const more = { opcode: OPCODE.CONTINUATION };

export const BROKEN_FRAMES: readonly Kind[] = [
  registered("reserved bits", "cut", (random) => text("{}", { reserved: random.integer(1, 7) })),
  registered("reserved opcodes", "cut", (random) => {
    return text("{}", { opcode: random.pick(RESERVED_OPCODES) });
  }),
  registered("bad UTF-8", "cut", (random) => text(random.pick(INVALID_UTF8))),
  registered("bad UTF-8 over two fragments", "cut", () => {
    return concat(text([0x7b, 0xe2], { fin: false }), text([0x7d], more));
  }),
  registered("claims of more than there can be", "cut", (random) => {
    return text("{}", { claimedBytes: random.pick(CLAIMS) });
  }),
  registered("the rest of no message", "cut", () => text("{}", more)),
  registered("a message within a message", "cut", () => {
    return concat(text("{", { fin: false }), text("{}"));
  }),
  registered("control frames in fragments", "cut", (random) => {
    return text("x", { opcode: random.pick(CONTROL_OPCODES), fin: false });
  }),
  registered("pings that are too long", "cut", (random) => {
    return text("x".repeat(random.integer(126, 70_000)), { opcode: OPCODE.PING });
  }),
  registered("close codes that must not be sent", "1002", (random) => {
    return text(closePayload(random.pick(BAD_CLOSE_CODES), "bye"), { opcode: OPCODE.CLOSE });
  }),
  registered("close frames that are none", "cut", (random) => {
    const payloads = [Uint8Array.of(3), closePayload(1000, Uint8Array.of(0xff))];
    return text(random.pick(payloads), { opcode: OPCODE.CLOSE });
  }),
  registered("bytes that are no frames", "cut", (random) => {
    return concat(Uint8Array.of(0xf3), random.bytes(random.integer(10, 500)));
  }),
  hitAndRun("half a frame, and away", async ({ url, random, id }) => {
    using peer = await RawPeer.register(url, id);
    const whole = text(`{"target_id":"left","text":"${LONG_TEXT}"}`);
    await peer.write(whole.subarray(0, random.integer(1, whole.length - 1)));
  }),
  hitAndRun("half a frame, and a reset", async ({ url, random, id }) => {
    using peer = await RawPeer.register(url, id);
    await peer.send({ opcode: OPCODE.PING, payload: "its answer is not read" });
    const whole = text('{"target_id":"left"}');
    await peer.write(whole.subarray(0, random.integer(1, whole.length - 1)));
    await peer.reset();
  }),
];

export const USELESS_FRAMES: readonly Kind[] = [
  registered("frames without a mask", "open", () => {
    return text('{"a":"against the RFC, but the runtime takes them"}', { masked: false });
  }),
  registered("pings by the hundred", "open", (random) => {
    return repeat(random.integer(100, 500), text("x".repeat(125), { opcode: OPCODE.PING }));
  }),
  registered("unasked pongs", "open", (random) => {
    return repeat(random.integer(100, 500), text("", { opcode: OPCODE.PONG }));
  }),
  registered("empty fragments by the hundred", "invalid_message", (random) => {
    const empty = text("", { ...more, fin: false });
    return concat(
      text("", { fin: false }),
      repeat(random.integer(100, 2000), empty),
      text("", more),
    );
  }),
  hitAndRun("fragments without end", async ({ url, random, id }) => {
    using peer = await RawPeer.register(url, id);
    await peer.send({ fin: false, payload: '{"a":"' });
    const fragment = text(LONG_TEXT, { ...more, fin: false });
    for (let n = random.integer(1, 16); n > 0; n--) await peer.write(fragment);
  }),
  registered("messages after the close", "1000", () => {
    return concat(text(closePayload(1000), { opcode: OPCODE.CLOSE }), text("{}"), text("{"));
  }),
];
