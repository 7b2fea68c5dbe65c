/** Hostile inputs of clients that subscribe to topics: y-webrtc's and Trystero's. */

import { frameBytes, OPCODE } from "../../helpers/frames.ts";
import type { Random } from "../../helpers/random.ts";
import { RawPeer } from "../../helpers/raw_peer.ts";
import { type Attack, hitAndRun, type Kind, type Outcome } from "./kind.ts";

const DEEP = '{"a":'.repeat(5000) + "1" + "}".repeat(5000);
const BROKEN = ["", "{", "[]", "null", '{"type":1}{', "[".repeat(20_000), '{"a":"\\ud8"}'];
const BAD_TYPES = ["0", "null", "{}", '["publish"]', '"__proto__"', '"registered"', '"pong"'];
const BAD_TOPICS = [
  "0",
  "null",
  "true",
  "{}",
  "[]",
  '""',
  '"\\ud800"',
  '"\\u0000"',
  '"constructor"',
];
const LONG_TOPIC = JSON.stringify("x".repeat(60_000));

/** How a dialect subscribes to one topic, and publishes a mark to it. */
interface Spoken {
  subscription(topic: string): object;
  publication(topic: string, mark: string): object;
}

const Y_WEBRTC: Spoken = {
  subscription: (topic) => ({ type: "subscribe", topics: [topic] }),
  publication: (topic, data) => ({ type: "publish", topic, data }),
};

const TRYSTERO: Spoken = {
  subscription: (topic) => ({ type: "subscribe", topic }),
  publication: (topic, payload) => ({ type: "publish", topic, payload }),
};

/** A kind that subscribes, sends what `make` makes, and then a mark to itself. */
function spoken(
  name: string,
  { subscription, publication }: Spoken,
  expected: Outcome,
  make: (random: Random) => string | Uint8Array,
): Kind {
  return {
    name,
    expected: [expected],
    async run({ url, random, id }: Attack) {
      using peer = await RawPeer.open(`${url}/some/path`);
      await peer.sendText(JSON.stringify(subscription(id)));
      const made = make(random);
      const bytes = typeof made === "string" ? frameBytes({ payload: made }) : made;
      await peer.write(bytes).catch(() => {});
      const mark = `mark of ${id}`;
      if (expected === "open") await peer.sendText(JSON.stringify(publication(id, mark)));
      return await outcomeOf(peer, mark);
    },
  };
}

/** Reads up to the mark, or to the end. */
async function outcomeOf(peer: RawPeer, mark: string): Promise<Outcome> {
  for (let frame = await peer.readFrame(); frame !== null; frame = await peer.readFrame()) {
    if (frame.opcode === OPCODE.CLOSE) return `${frame.payload[0]! << 8 | frame.payload[1]!}`;
    if (new TextDecoder().decode(frame.payload).includes(mark)) return "open";
  }
  return "cut";
}

function brokenMessage(random: Random): string | Uint8Array {
  const payload = random.bytes(random.integer(1, 500));
  return random.pick([...BROKEN, frameBytes({ opcode: OPCODE.BINARY, payload })]);
}

/** Many topics, the same one over and over, long ones, and what is none, nested deeply. */
function strangeTopics(random: Random): string {
  const type = random.pick(["subscribe", "unsubscribe"]);
  const topics = random.pick([
    Array.from({ length: random.integer(1, 4000) }, (_, n) => `"${n}"`).join(),
    Array(random.integer(1, 4000)).fill('"a"').join(),
    Array(50).fill(JSON.stringify("x".repeat(1024))).join(),
    [LONG_TOPIC, ...BAD_TOPICS, DEEP].join(),
    "[".repeat(5000) + "]".repeat(5000),
  ]);
  return `{"type":"${type}","topics":[${topics}],"topics":[${topics}]}`;
}

function strangePublication(member: string, random: Random): string {
  const topic = random.pick([...BAD_TOPICS, LONG_TOPIC, DEEP]);
  const value = random.pick([DEEP, '"\\ud800"', "1e400", "null"]);
  const many = '"clients":1,'.repeat(random.integer(0, 4000));
  return `{${many}"type":"publish","topic":${topic},"${member}":${value}}`;
}

const large = () => `{"a":"${"é".repeat(500_000)}"}`;

export const BAD_TOPIC_MESSAGES: readonly Kind[] = [
  spoken("y-webrtc: messages that are none", Y_WEBRTC, "open", brokenMessage),
  spoken("y-webrtc: types that are none", Y_WEBRTC, "open", (random) => {
    return `{"type":${random.pick([...BAD_TYPES, DEEP])},"topics":["a"],"topic":"a"}`;
  }),
  spoken("y-webrtc: strange topics", Y_WEBRTC, "open", strangeTopics),
  spoken("y-webrtc: strange publications", Y_WEBRTC, "open", (random) => {
    return strangePublication("data", random);
  }),
  spoken("y-webrtc: messages that are too large", Y_WEBRTC, "1009", large),
  spoken("Trystero: messages that are none", TRYSTERO, "open", brokenMessage),
  spoken("Trystero: topics that are none", TRYSTERO, "open", (random) => {
    const type = random.pick(["subscribe", "unsubscribe"]);
    return `{"type":"${type}","topic":${random.pick([...BAD_TOPICS, LONG_TOPIC, DEEP])}}`;
  }),
  spoken("Trystero: strange publications", TRYSTERO, "open", (random) => {
    return strangePublication("payload", random);
  }),
  spoken("Trystero: messages that are too large", TRYSTERO, "1009", large),
  hitAndRun("topics by the hundred, and a reset", async ({ url, random, id }) => {
    using peer = await RawPeer.open(url);
    const topics = Array.from({ length: 256 }, (_, n) => `${id} ${n}`.padEnd(1000, "x"));
    const message = JSON.stringify({ type: "subscribe", topics });
    await peer.sendText(message.slice(0, 60_000) + (random.chance(0.5) ? '"]}' : ""));
    await peer.sendText('{"type":"ping"}');
    await peer.sendText(JSON.stringify({ type: "subscribe", topics: topics.slice(0, 50) }));
    await peer.reset();
  }),
];
