/** Reads where a frame is to go, and readdresses it without touching any other of its characters. */

import { describe, ProtocolError } from "./protocol.ts";

/** A client's frame: valid JSON, an object. */
export interface Envelope {
  /** The frame as it came. */
  readonly text: string;
  /** Its members, as JSON.parse gives them. */
  readonly members: Readonly<Record<string, unknown>>;
  /** The client it is for; `""` for all others. */
  readonly targetId: string;
}

/**
 * Reads a frame.
 *
 * @throws {ProtocolError} `invalid_message` for what is not JSON, not an object, or has a `target_id` that is neither
 * a string nor null
 */
export function readEnvelope(text: string): Envelope {
  const members = parse(text);
  const targetId = members.target_id ?? "";
  if (typeof targetId !== "string") {
    throw new ProtocolError(
      "invalid_message",
      `target_id must be a string or null, not ${describe(targetId)}.`,
    );
  }
  return { text, members, targetId };
}

function parse(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ProtocolError("invalid_message", `This is not JSON: ${(error as Error).message}.`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProtocolError("invalid_message", `A message is an object, not ${describe(value)}.`);
  }
  return value as Record<string, unknown>;
}

/** The member that {@link readdress} puts in: `"from":"<ID>"`. Made once for each client. */
export function fromMember(clientId: string): string {
  return `"from":${JSON.stringify(clientId)}`;
}

/**
 * The frame as its receiver gets it: every top-level `target_id` and `from` cut out, and `from` put in, where the
 * first of them stood or else in front.
 *
 * @param from what {@link fromMember} made for the sender
 */
export function readdress({ text, members }: Envelope, from: string): string {
  if (!Object.hasOwn(members, "target_id") && !Object.hasOwn(members, "from")) {
    return prepend(text, from);
  }
  let result = "";
  let copied = 0; // how far `text` is in `result`, or was left out
  let put = false;
  for (let member = firstMember(text); member; member = nextMember(text, member)) {
    if (member.name !== "target_id" && member.name !== "from") continue;
    if (put) {
      result += text.slice(copied, member.comma); // the comma before it goes with it
    } else {
      result += text.slice(copied, member.start) + from;
      put = true;
    }
    copied = member.end;
  }
  return result + text.slice(copied);
}

function prepend(text: string, from: string): string {
  const inside = text.indexOf("{") + 1;
  const isEmpty = text.charCodeAt(skipSpace(text, inside)) === CLOSING_BRACE;
  return text.slice(0, inside) + from + (isEmpty ? "" : ",") + text.slice(inside);
}

// What follows finds its way through text that JSON.parse has accepted, and so needs to check nothing. It moves from
// one string or bracket to the next; over the characters of a string it goes with indexOf, which is a native search.

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/** Where a member of the top-level object stands in the text. */
interface Member {
  readonly name: string;
  /** Index of the comma before it; of the opening brace for the first one. */
  readonly comma: number;
  /** Index of the quote that opens its name. */
  readonly start: number;
  /** Index after its value. */
  readonly end: number;
}

function firstMember(text: string): Member | null {
  const brace = text.indexOf("{");
  const start = skipSpace(text, brace + 1);
  return text.charCodeAt(start) === QUOTE ? readMember(text, brace, start) : null;
}

function nextMember(text: string, member: Member): Member | null {
  const comma = skipSpace(text, member.end);
  if (text.charCodeAt(comma) !== COMMA) return null;
  return readMember(text, comma, skipSpace(text, comma + 1));
}

function readMember(text: string, comma: number, start: number): Member {
  const nameEnd = endOfString(text, start);
  const name = text.slice(start + 1, nameEnd - 1);
  const colon = skipSpace(text, nameEnd);
  return {
    name: name.includes("\\") ? JSON.parse(`"${name}"`) : name,
    comma,
    start,
    end: endOfValue(text, skipSpace(text, colon + 1)),
  };
}

function endOfValue(text: string, start: number): number {
  switch (text.charCodeAt(start)) {
    case QUOTE:
      return endOfString(text, start);
    case OPENING_BRACE:
    case OPENING_BRACKET:
      return endOfContainer(text, start);
    default:
      return endOfScalar(text, start);
  }
}

function endOfString(text: string, openingQuote: number): number {
  let quote = openingQuote;
  do quote = text.indexOf('"', quote + 1); while (isEscaped(text, quote));
  return quote + 1;
}

function isEscaped(text: string, at: number): boolean {
  let start = at;
  while (text.charCodeAt(start - 1) === BACKSLASH) start--;
  return (at - start) % 2 === 1;
}

function endOfContainer(text: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        continue;
      case OPENING_BRACE:
      case OPENING_BRACKET:
        depth++;
        break;
      case CLOSING_BRACE:
      case CLOSING_BRACKET:
        depth--;
    }
    at++;
  } while (depth > 0);
  return at;
}

function endOfScalar(text: string, start: number): number {
  let at = start;
  while (!isSpace(text.charCodeAt(at)) && !isDelimiter(text.charCodeAt(at))) at++;
  return at;
}

function isDelimiter(code: number): boolean {
  return code === COMMA || code === CLOSING_BRACE;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

/** JSON's four white-space characters (RFC 8259 section 2); beyond the text, charCodeAt gives NaN. */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
