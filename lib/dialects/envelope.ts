/** Reads where a frame is to go, and readdresses it without touching any other of its characters. */

import { JsonMembers } from "./json_members.ts";
import { describe, ProtocolError } from "../relay/vocabulary.ts";

/** A client's frame: valid JSON, an object. */
export interface Envelope {
  /** Its `type`; undefined where that is no string. */
  readonly type: string | undefined;
  /** The client it is for; `""` for all others. */
  readonly targetId: string;
  /** Its size as it came, in UTF-8. */
  readonly bytes: number;
  /**
   * The frame as its receiver gets it: every top-level `target_id` and `from` cut out, and `from` put in, where the
   * first of them stood or else in front.
   */
  readonly frame: string;
}

/** The member that {@link readEnvelope} puts in: `"from":"<ID>"`. Made once for each client. */
export function fromMember(clientId: string): string {
  return `"from":${JSON.stringify(clientId)}`;
}

/**
 * The members of a frame, as JSON.parse gives them.
 *
 * @throws {ProtocolError} `invalid_message` as {@link readEnvelope} does
 */
export function readMembers(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ProtocolError("invalid_message", `This is not JSON: ${(error as Error).message}.`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProtocolError("invalid_message", `A message is an object, not ${describe(value)}.`);
  }
  const members = value as Record<string, unknown>;
  readTarget(members.target_id);
  return members;
}

/**
 * Reads a frame.
 *
 * @param from what {@link fromMember} made for the sender
 * @throws {ProtocolError} `invalid_message` for what is not JSON, not an object, or has a `target_id` that is neither
 * a string nor null
 */
export function readEnvelope(text: string, from: string): Envelope {
  try {
    return splice(text, from);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) readMembers(text); // says what is wrong
    throw error;
  }
}

/** Made once: frames are read one after the other. */
const members = new JsonMembers();

function splice(text: string, from: string): Envelope {
  members.begin(text);
  let type: string | undefined;
  let target: unknown;
  let frame = "";
  let copied = 0; // how far `text` is in `frame`, or was left out
  let put = false;
  while (members.next()) {
    const { name, comma, nameStart, valueStart, valueEnd } = members;
    if (name === "type") {
      type = readString(text, valueStart, valueEnd);
      continue;
    }
    if (name === "target_id") {
      target = readString(text, valueStart, valueEnd) ??
        JSON.parse(text.slice(valueStart, valueEnd));
    }
    // With all but the first one goes the comma before it.
    frame += put ? text.slice(copied, comma) : text.slice(copied, nameStart) + from;
    put = true;
    copied = valueEnd;
  }
  frame = put ? frame + text.slice(copied) : prepend(text, from);
  return { type, targetId: readTarget(target), bytes: members.bytes, frame };
}

/** The value between these places, where it is a string. */
function readString(text: string, start: number, end: number): string | undefined {
  if (text[start] !== '"') return undefined;
  const inside = text.slice(start + 1, end - 1);
  return inside.includes("\\") ? JSON.parse(`"${inside}"`) : inside;
}

function readTarget(target: unknown): string {
  if (typeof target === "string") return target;
  if (target === undefined || target === null) return "";
  const message = `target_id must be a string or null, not ${describe(target)}.`;
  throw new ProtocolError("invalid_message", message);
}

function prepend(text: string, from: string): string {
  const inside = text.indexOf("{") + 1;
  const rest = text.slice(inside);
  const comma = /^[ \t\n\r]*\}/.test(rest) ? "" : ",";
  return text.slice(0, inside) + from + comma + rest;
}
