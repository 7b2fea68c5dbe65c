/** The protocols of y-webrtc's server and of Trystero's relay: publish and subscribe to topics. */

import type { Command, Dialect } from "../relay/vocabulary.ts";
import {
  compileNames,
  type Member,
  readLast,
  replaceMembers,
  type Scan,
  scanMembers,
  tryScanMembers,
} from "./members.ts";

const [QUOTE, BACKSLASH, LEFT_BRACKET, RIGHT_BRACKET, LEFT_BRACE, RIGHT_BRACE] = [...'"\\[]{}']
  .map((character) => character.charCodeAt(0));

/** Upper bound of the topics that are read of one message: twice what a client may have. */
const MAX_READ_TOPICS = 512;
const MEMBERS = compileNames("type", "topic", "topics", "payload", "clients");
type Name = (typeof MEMBERS)["list"][number];

/** The position of a member to be cut out of a message, with its comma. */
type Place = Member<Name>;

/** The protocol of y-webrtc's signaling server. */
export const yWebrtc: Dialect = {
  name: "y-webrtc",
  anonymousRoom: "\u0001y-webrtc",
  accepts: (text) =>
    isFirst(
      text,
      ({ type, hasTopics, hasPayload }) =>
        type === "ping" || (type === "publish" && !hasPayload) ||
        (isSubscription(type) && hasTopics),
    ),
  sender: () => "",
  decode(text): Command {
    const scan = scanMembers(text, MEMBERS);
    const type = readLast(text, scan, "type");
    if (type === "ping") return { kind: "reply", text: '{"type":"pong"}' };
    if (isSubscription(type)) return { kind: type, topics: topicsOf(text, scan) };
    const topic = readLast(text, scan, "topic");
    if (type !== "publish" || typeof topic !== "string") return { kind: "ignore" };
    const places = scan.members.filter(({ name }) => name === "clients");
    const textFor = (subscribers: number) => withClients(text, places, subscribers);
    return { kind: "publish", topic, type, bytes: scan.bytes, textFor };
  },
  encode: () => null,
  targetOf: () => undefined,
};

/** The protocol of Trystero's WebSocket relay. */
export const trystero: Dialect = {
  name: "trystero",
  anonymousRoom: "\u0001trystero",
  accepts: (text) =>
    isFirst(
      text,
      ({ type, hasTopic, hasTopics, hasPayload }) =>
        (type === "publish" && hasPayload) || (isSubscription(type) && hasTopic && !hasTopics),
    ),
  sender: () => "",
  decode(text): Command {
    const scan = scanMembers(text, MEMBERS);
    const type = readLast(text, scan, "type");
    const topic = readLast(text, scan, "topic");
    if (typeof topic !== "string") return { kind: "ignore" };
    if (isSubscription(type)) return { kind: type, topics: [topic] };
    const payload = scan.members.findLast(({ name }) => name === "payload");
    if (type !== "publish" || payload === undefined) return { kind: "ignore" };
    const value = text.slice(payload.valueStart, payload.valueEnd);
    const sent = `{"topic":${JSON.stringify(topic)},"payload":${value}}`;
    return { kind: "publish", topic, type, bytes: scan.bytes, textFor: () => sent };
  },
  encode: () => null,
  targetOf: () => undefined,
};

function isSubscription(type: unknown): type is "subscribe" | "unsubscribe" {
  return type === "subscribe" || type === "unsubscribe";
}

interface FirstMessage {
  readonly type: unknown;
  /** True if there is a string `topic`. */
  readonly hasTopic: boolean;
  readonly hasTopics: boolean;
  readonly hasPayload: boolean;
}

/** A type of a first message, or an escape that may hide one. Most clients' first messages have neither. */
const POSSIBLE_TYPE = /ping|publish|subscribe|\\u/;

function isFirst(text: string, isOwn: (message: FirstMessage) => boolean): boolean {
  const scan = POSSIBLE_TYPE.test(text) ? tryScanMembers(text, MEMBERS) : null;
  if (scan === null) return false;
  const has = (wanted: Name) => scan.members.some(({ name }) => name === wanted);
  return isOwn({
    type: readLast(text, scan, "type"),
    hasTopic: typeof readLast(text, scan, "topic") === "string",
    hasTopics: has("topics"),
    hasPayload: has("payload"),
  });
}

/** Returns the strings of the last `topics`, if that is an array. */
function topicsOf(text: string, { members }: Scan<Name>): string[] {
  const member = members.findLast(({ name }) => name === "topics");
  if (member === undefined || text[member.valueStart] !== "[") return [];
  return stringsIn(text, member.valueStart + 1, member.valueEnd);
}

/**
 * Returns the first strings of a valid JSON array, without nested ones. JSON.parse would take too long for a hostile array, and
 * so would a string for each of its characters.
 */
function stringsIn(text: string, start: number, end: number): string[] {
  const strings: string[] = [];
  let depth = 0;
  for (let position = start; position < end && strings.length < MAX_READ_TOPICS; position++) {
    const character = text.charCodeAt(position);
    if (character === LEFT_BRACKET || character === LEFT_BRACE) depth++;
    if (character === RIGHT_BRACKET || character === RIGHT_BRACE) depth--;
    if (character !== QUOTE) continue;
    const first = position;
    for (position++; text.charCodeAt(position) !== QUOTE; position++) {
      if (text.charCodeAt(position) === BACKSLASH) position++;
    }
    if (depth === 0) strings.push(JSON.parse(text.slice(first, position + 1)));
  }
  return strings;
}

/** Replaces the client's `clients` by the number of subscribers, or adds it at the end. */
function withClients(text: string, places: readonly Place[], subscribers: number): string {
  const member = `"clients":${subscribers}`;
  if (places.length > 0) return replaceMembers(text, places, member);
  return `${text.slice(0, text.lastIndexOf("}"))},${member}}`;
}
