/**
 * Reads messages of clients: validates a text as JSON (RFC 8259) and finds given members, at a cost that depends on its
 * size alone. WebAssembly scans the text. JSON.parse never gets a whole object, because objects with many different names
 * take it thirty times as long.
 */

import { describe, ProtocolError, Unread } from "../relay/vocabulary.ts";
import { failedAt, findMembers, memory, namesAt, textAt } from "./wasm/members.wasm";

/** The names of members to find, made by {@link compileNames}. */
export interface Names<Name extends string> {
  readonly list: readonly Name[];
  /** The names for WebAssembly: for each a byte with its length, then its characters; a zero at the end. */
  readonly table: Uint8Array;
}

/** A top-level member. Positions are in UTF-16 code units. */
export interface Member<Name extends string> {
  readonly name: Name;
  /** The position of the comma before it; that of the opening brace for the first member. */
  readonly comma: number;
  /** The position of the quote that opens its name. */
  readonly nameStart: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

export interface Scan<Name extends string> {
  /** The text's size in bytes of UTF-8. */
  readonly bytes: number;
  /** The members with one of the names, in the order of the text, duplicates included. */
  readonly members: readonly Member<Name>[];
}

/** A value that {@link readLast} returns. */
export type Value = string | number | boolean | null | Unread;

/** Upper bound of a text for JSON.parse, in UTF-16 code units. An ID made of escapes has at most 1538. */
export const MAX_PARSED_CHARS = 4096;

/** Upper bound of the members that a scan finds. Many thousands would cost a hundred times as much as other text. */
export const MAX_FOUND_MEMBERS = 64;

const ENCODER = new TextEncoder();
const PAGE_BYTES = 64 * 1024;
/** Memory that WebAssembly needs for each UTF-16 code unit of a text, and in addition. */
const BYTES_PER_UNIT = 6;
const MARGIN_BYTES = 320;
/** The number of a name, and four positions. */
const NUMBERS_PER_NOTE = 5;

/** Views of the memory, made once for each size: making them costs as much as scanning a short message. */
let views = viewMemory();

function viewMemory() {
  return {
    names: new Uint8Array(memory.buffer, namesAt(), textAt() - namesAt()),
    text: new Uint8Array(memory.buffer, textAt()),
    notes: new Int32Array(memory.buffer),
  };
}

/**
 * Prepares names for {@link scanMembers}.
 *
 * @param list names of ASCII letters, digits and underscores
 * @throws {TypeError} if a name has other characters, or all together are too long for the table
 */
export function compileNames<const Name extends string>(...list: Name[]): Names<Name> {
  const text = list.map((name) => String.fromCharCode(name.length) + name).join("") + "\0";
  if (!list.every((name) => /^\w{1,127}$/.test(name)) || text.length > textAt() - namesAt()) {
    throw new TypeError(`cannot look for members named ${list.join(", ")}`);
  }
  return { list, table: ENCODER.encode(text) };
}

/**
 * Checks that a text is a JSON object, and finds the top-level members with one of the names, escaped or not.
 *
 * @throws {ProtocolError} `invalid_message` if it is not, with the position and the character of the error; or if there are
 *   more than {@link MAX_FOUND_MEMBERS}
 */
export function scanMembers<Name extends string>(text: string, names: Names<Name>): Scan<Name> {
  ensureMemory(text);
  const { notes } = views;
  views.names.set(names.table);
  const bytes = ENCODER.encodeInto(text, views.text).written;
  const members: Member<Name>[] = [];
  let note = find(text, bytes) / Int32Array.BYTES_PER_ELEMENT;
  for (; notes[note] !== 0; note += NUMBERS_PER_NOTE) {
    if (members.length === MAX_FOUND_MEMBERS) throw tooManyMembers(names.list);
    members.push({
      name: names.list[notes[note]! - 1]!,
      comma: notes[note + 1]!,
      nameStart: notes[note + 2]!,
      valueStart: notes[note + 3]!,
      valueEnd: notes[note + 4]!,
    });
  }
  return { bytes, members };
}

/** Does the same as {@link scanMembers}, but returns null if the text is malformed. */
export function tryScanMembers<Name extends string>(
  text: string,
  names: Names<Name>,
): Scan<Name> | null {
  try {
    return scanMembers(text, names);
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

function tooManyMembers(names: readonly string[]): ProtocolError {
  const message = `A message may have at most ${MAX_FOUND_MEMBERS} members named ` +
    `${names.join(", ")}: send each once.`;
  return new ProtocolError("invalid_message", message);
}

/** Grows the memory if a text is longer than any before. It stays as large as the longest message needs. */
function ensureMemory(text: string): void {
  const missingBytes = BYTES_PER_UNIT * text.length + MARGIN_BYTES - views.notes.byteLength;
  if (missingBytes <= 0) return;
  memory.grow(Math.ceil(missingBytes / PAGE_BYTES));
  views = viewMemory();
}

function find(text: string, bytes: number): number {
  let notesAt: number;
  try {
    notesAt = findMembers(bytes, text.length);
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError) || failedAt() < 0) throw error;
    throw new ProtocolError("invalid_message", `This is not JSON: ${explain(text, failedAt())}.`);
  }
  if (notesAt !== 0) return notesAt;
  const value = text.trim();
  const kind = describe(readBetween(value, 0, value.length));
  throw new ProtocolError("invalid_message", `A message must be a JSON object, not ${kind}.`);
}

/** Names of invisible characters that some programs send by accident. */
const CHARACTER_NAMES: Readonly<Record<number, string>> = {
  0: " (NUL)",
  0xfeff: " (byte order mark)",
};

function explain(text: string, position: number): string {
  const codePoint = text.codePointAt(position);
  if (codePoint === undefined) return `the text ends too early, after ${position} characters`;
  const character = String.fromCodePoint(codePoint);
  const hex = codePoint.toString(16).toUpperCase().padStart(4, "0");
  const isVisible = !/[\p{C}\p{Z}]/u.test(character);
  const shown = isVisible
    ? JSON.stringify(character)
    : `U+${hex}${CHARACTER_NAMES[codePoint] ?? ""}`;
  return `unexpected ${shown} at position ${position}`;
}

/** Returns the value of the last member with this name, as JSON.parse would; undefined if there is none. */
export function readLast<Name extends string>(
  text: string,
  { members }: Scan<Name>,
  name: NoInfer<Name>,
): Value | undefined {
  const member = members.findLast((member) => member.name === name);
  return member && readBetween(text, member.valueStart, member.valueEnd);
}

/** Replaces the first of some members of a text, and cuts out the others with the commas before them. */
export function replaceMembers(
  text: string,
  members: readonly Member<string>[],
  replacement: string,
): string {
  let result = "";
  let copied = 0; // `text` up to here is in `result`, or was cut out
  for (const { comma, nameStart, valueEnd } of members) {
    result += copied === 0 ? text.slice(0, nameStart) + replacement : text.slice(copied, comma);
    copied = valueEnd;
  }
  return result + text.slice(copied);
}

/** Reads the value between two positions, which is valid JSON. */
function readBetween(text: string, start: number, end: number): Value {
  const first = text[start];
  if (first === "{") return new Unread("an object");
  if (first === "[") return new Unread("an array");
  if (first === '"') {
    const inside = text.slice(start + 1, end - 1);
    if (!inside.includes("\\")) return inside;
  }
  const chars = end - start;
  if (chars <= MAX_PARSED_CHARS) return JSON.parse(text.slice(start, end));
  return new Unread(`a ${first === '"' ? "string" : "number"} of ${chars} characters`);
}
