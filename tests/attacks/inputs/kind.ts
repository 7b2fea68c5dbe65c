/** Kinds of hostile inputs. */

import { OPCODE } from "../../helpers/frames.ts";
import type { Random } from "../../helpers/random.ts";
import { RawPeer } from "../../helpers/raw_peer.ts";

/**
 * The end of an attack. It is `cut` if the connection ended without a close frame, and `open` if the server goes on. It is
 * `left` if the attacker waited for no answer. Otherwise it is the close code, the `code` of an error notice, or the HTTP status.
 */
export type Outcome = string;

export interface Attack {
  readonly url: string;
  readonly random: Random;
  /** Unique ID for a kind that has to register. */
  readonly id: string;
}

export interface Kind {
  readonly name: string;
  /** The outcomes that are right. */
  readonly expected: readonly Outcome[];
  run(attack: Attack): Promise<Outcome>;
}

/** A kind that registers, and sends what `make` makes. */
export function registered(
  name: string,
  expected: Outcome | readonly Outcome[],
  make: (random: Random) => Uint8Array,
): Kind {
  const outcomes = [expected].flat();
  return {
    name,
    expected: outcomes,
    async run({ url, random, id }) {
      using peer = await RawPeer.register(url, id);
      await peer.write(make(random)).catch(() => {}); // cut in the middle of it
      if (!outcomes.every(isEnd)) await askBack(peer, id);
      return await outcomeFor(peer, id);
    },
  };
}

/** A kind that begins with another message than it has to. */
export function unregistered(name: string, expected: Outcome, messages: readonly string[]): Kind {
  return {
    name,
    expected: [expected],
    async run({ url, random, id }) {
      using peer = await RawPeer.open(url);
      await peer.sendText(random.pick(messages));
      return await outcomeFor(peer, id);
    },
  };
}

/** A kind that sends something and disconnects. */
export function hitAndRun(name: string, attack: (attack: Attack) => Promise<void>): Kind {
  return {
    name,
    expected: ["left"],
    async run(given) {
      await attack(given);
      return "left";
    },
  };
}

/** True if nothing follows: a client that goes on sending may miss the close frame. */
function isEnd(outcome: Outcome): boolean {
  return /^(cut|\d{4})$/.test(outcome);
}

/** Sends a message to oneself, to see whether the server still takes any. */
async function askBack(peer: RawPeer, id: string): Promise<void> {
  await peer.sendText(JSON.stringify({ target_id: id, are: "you there?" })).catch(() => {});
}

/** Reads up to the message to oneself, or to the end. */
async function outcomeFor(peer: RawPeer, id: string): Promise<Outcome> {
  let error: string | undefined;
  for (let frame = await peer.readFrame(); frame !== null; frame = await peer.readFrame()) {
    if (frame.opcode === OPCODE.CLOSE) return `${frame.payload[0]! << 8 | frame.payload[1]!}`;
    if (frame.opcode !== OPCODE.TEXT) continue;
    const { from, are, code } = JSON.parse(new TextDecoder().decode(frame.payload));
    error ??= code;
    if (from === id && are !== undefined) return error ?? "open";
  }
  return "cut";
}
