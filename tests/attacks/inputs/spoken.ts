/** Hostile messages in the protocols of other servers. */

import { frameBytes, OPCODE } from "../../helpers/frames.ts";
import type { Random } from "../../helpers/random.ts";
import type { RawPeer } from "../../helpers/raw_peer.ts";
import type { Attack, Kind, Outcome } from "./kind.ts";

export const DEEP = '{"a":'.repeat(5000) + "1" + "}".repeat(5000);
const BROKEN = [
  "",
  "{",
  "[]",
  "null",
  '{"a":1}{',
  "[".repeat(20_000),
  '{"a":"\ud800"}',
  '{"a":"\\ud8"}',
];

/** A protocol in which a client can send itself a message. */
export interface Spoken {
  /** Opens a connection that receives what {@link Spoken.message} sends to the ID. */
  open(url: string, id: string): Promise<RawPeer>;
  message(id: string, mark: string): object;
}

/** A kind that connects, sends what `make` makes, and then a message to itself. */
export function spoken(
  name: string,
  { open, message }: Spoken,
  expected: Outcome,
  make: (random: Random) => string | Uint8Array,
): Kind {
  return {
    name,
    expected: [expected],
    async run({ url, random, id }: Attack) {
      using peer = await open(url, id);
      const made = make(random);
      const bytes = typeof made === "string" ? frameBytes({ payload: made }) : made;
      await peer.write(bytes).catch(() => {});
      const mark = `mark of ${id}`;
      if (expected === "open") await peer.sendText(JSON.stringify(message(id, mark)));
      return await outcomeOf(peer, mark);
    },
  };
}

/** Reads up to the message with the mark, or to the end. */
export async function outcomeOf(peer: RawPeer, mark: string): Promise<Outcome> {
  for (let frame = await peer.readFrame(); frame !== null; frame = await peer.readFrame()) {
    if (frame.opcode === OPCODE.CLOSE) return `${frame.payload[0]! << 8 | frame.payload[1]!}`;
    if (new TextDecoder().decode(frame.payload).includes(mark)) return "open";
  }
  return "cut";
}

export function brokenMessage(random: Random): string | Uint8Array {
  const payload = random.bytes(random.integer(1, 500));
  return random.pick([...BROKEN, frameBytes({ opcode: OPCODE.BINARY, payload })]);
}

export function largeMessage(): string {
  return `{"a":"${"é".repeat(500_000)}"}`;
}
