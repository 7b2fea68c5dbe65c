/** Hostile inputs of clients that subscribe to topics: y-webrtc's and Trystero's. */

import type { Random } from "../../helpers/random.ts";
import { RawPeer } from "../../helpers/raw_peer.ts";
import { hitAndRun, type Kind } from "./kind.ts";
import { brokenMessage, DEEP, largeMessage, type Spoken, spoken } from "./spoken.ts";

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

const Y_WEBRTC: Spoken = {
  open: (url, id) => subscribe(url, { type: "subscribe", topics: [id] }),
  message: (topic, data) => ({ type: "publish", topic, data }),
};

const TRYSTERO: Spoken = {
  open: (url, id) => subscribe(url, { type: "subscribe", topic: id }),
  message: (topic, payload) => ({ type: "publish", topic, payload }),
};

async function subscribe(url: string, subscription: object): Promise<RawPeer> {
  const peer = await RawPeer.open(`${url}/some/path`);
  await peer.sendText(JSON.stringify(subscription));
  return peer;
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

export const BAD_TOPIC_MESSAGES: readonly Kind[] = [
  spoken("y-webrtc: messages that are none", Y_WEBRTC, "open", brokenMessage),
  spoken("y-webrtc: types that are none", Y_WEBRTC, "open", (random) => {
    return `{"type":${random.pick([...BAD_TYPES, DEEP])},"topics":["a"],"topic":"a"}`;
  }),
  spoken("y-webrtc: strange topics", Y_WEBRTC, "open", strangeTopics),
  spoken("y-webrtc: strange publications", Y_WEBRTC, "open", (random) => {
    return strangePublication("data", random);
  }),
  spoken("y-webrtc: messages that are too large", Y_WEBRTC, "1009", largeMessage),
  spoken("Trystero: messages that are none", TRYSTERO, "open", brokenMessage),
  spoken("Trystero: topics that are none", TRYSTERO, "open", (random) => {
    const type = random.pick(["subscribe", "unsubscribe"]);
    return `{"type":"${type}","topic":${random.pick([...BAD_TOPICS, LONG_TOPIC, DEEP])}}`;
  }),
  spoken("Trystero: strange publications", TRYSTERO, "open", (random) => {
    return strangePublication("payload", random);
  }),
  spoken("Trystero: messages that are too large", TRYSTERO, "1009", largeMessage),
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
