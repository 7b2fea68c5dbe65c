/**
 * Measures what it costs to read a message, for the kinds of text that could cost most. Compares each with an offer of the
 * same size. Exits with status 1 if one costs more than {@link MAX_RATIO} times as much.
 */

import { fromMember, readEnvelope } from "../../lib/dialects/envelope.ts";

/** A generous bound, because brackets and quotes take longer to read than a long string. */
const MAX_RATIO = 30;
const ROUNDS = 25;
const ROUND_MS = 5;
const FROM = fromMember("sender_001");

/** A kind of text: a beginning, a part that is repeated as often as it fits, and an end. */
type Kind = readonly [opening: string, piece: (n: number) => string, closing: string];

const HEAD = '{"type":"offer","target_id":"receiver_001"';
const name = (n: number) => `"${n.toString(36)}"`;

const OFFER: Kind = [`${HEAD},"sdp":"`, () => "a=rtpmap:96 VP8/90000\\r\\n", '"}'];

const KINDS: Readonly<Record<string, Kind>> = {
  "a string": [`${HEAD},"a":"`, () => "x", '"}'],
  "escapes": [`${HEAD},"a":"`, () => "\\n", '"}'],
  "\\u escapes": [`${HEAD},"a":"`, () => "\\u00e9", '"}'],
  "characters of 2 bytes": [`${HEAD},"a":"`, () => "é", '"}'],
  "characters of 3 bytes": [`${HEAD},"a":"`, () => "日", '"}'],
  "characters of 4 bytes": [`${HEAD},"a":"`, () => "😀", '"}'],
  "objects with ever new names": [`${HEAD},"a":[`, (n) => `{${name(n)}:1},`, "0]}"],
  "an object with ever new names": [`${HEAD},"a":{`, (n) => `${name(n)}:1,`, '"":0}}'],
  "many members": [HEAD, (n) => `,${name(n)}:1`, "}"],
  "members with non-ASCII names": [HEAD, (n) => `,"é${n.toString(36)}":1`, ',"from":1}'],
  "members with escaped names": [HEAD, () => ',"\\n":0', "}"],
  "members with nearly the right name": [HEAD, () => ',"\\u0074arget_iX":0', "}"],
  "from": [HEAD, () => ',"from":1', "}"],
  "from, with spaces": [HEAD, () => ' ,"from":1', "}"],
  "from, escaped": [HEAD, () => ',"\\u0066rom":1', "}"],
  "type": [HEAD, () => ',"type":1', "}"],
  "target_id with objects": [HEAD, (n) => `,"target_id":{${name(n)}:1}`, ',"target_id":""}'],
  "target_id with escapes": [HEAD, () => ',"target_id":"\\n"', "}"],
  "deep arrays": [`${HEAD},"a":`, () => "[", ""],
  "deep objects": [`${HEAD},"a":`, () => '{"":', "0"],
  "empty arrays": [`${HEAD},"a":[`, () => "[],", "0]}"],
  "numbers": [`${HEAD},"a":[`, () => "0,", "0]}"],
  "white space": [`${HEAD},"a":[`, () => " ", "]}"],
};

/** Makes a text of at most this size. */
function textOf([opening, piece, closing]: Kind, bytes: number): string {
  const size = (text: string) => new TextEncoder().encode(text).length;
  const isDeep = !closing.endsWith("}");
  let free = (bytes - size(opening) - size(closing)) / (isDeep ? 2 : 1);
  const pieces: string[] = [];
  for (let n = 0;; n++) {
    const next = piece(n);
    free -= size(next);
    if (free < 2) break;
    pieces.push(next);
  }
  const inside = pieces.join("");
  if (!isDeep) return opening + inside + closing;
  const closers = inside.replaceAll(/[^[{]/g, "").replaceAll("[", "]").replaceAll("{", "}");
  return `${opening}${inside}${closing}${closers}}`;
}

/** Measures the shortest of many rounds, in microseconds, because other processes only lengthen a round. */
function measure(work: () => unknown): number {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    let count = 0;
    let elapsed = 0;
    for (; elapsed < ROUND_MS; count++, elapsed = performance.now() - start) work();
    best = Math.min(best, elapsed / count);
  }
  return best * 1000;
}

/** Reads a message, and copies its text into one piece, as before it is sent. */
function read(text: string): number {
  const envelope = readEnvelope(text, FROM);
  return envelope.text.charCodeAt(envelope.text.length >> 1);
}

let worst = 0;
for (const kibibytes of [64, 256]) {
  const offer = textOf(OFFER, kibibytes * 1024);
  const offerMicros = measure(() => read(offer));
  console.log(`An offer of ${kibibytes} KiB: ${offerMicros.toFixed(0)} µs`);
  for (const [kind, parts] of Object.entries(KINDS)) {
    const text = textOf(parts, kibibytes * 1024);
    const micros = measure(() => read(text));
    const ratio = micros / offerMicros;
    const parsed = measure(() => JSON.parse(text));
    worst = Math.max(worst, ratio);
    console.log(
      `${kind.padEnd(36)} ${micros.toFixed(0).padStart(6)} µs  ${
        ratio.toFixed(1).padStart(5)
      } times` +
        `  (JSON.parse: ${parsed.toFixed(0)} µs)`,
    );
  }
}
if (worst > MAX_RATIO) {
  console.error(`A text costs ${worst.toFixed(0)} times what an offer of its size costs.`);
  Deno.exit(1);
}
