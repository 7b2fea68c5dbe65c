/** Reads where a frame is to go, and readdresses it without touching any other of its characters. */

import { JsonMembers } from "./json_members.ts";
import {
  describe,
  isClientId,
  type PresenceMode,
  ProtocolError,
  type Registration,
} from "../relay/vocabulary.ts";

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

/**
 * Reads a `register` message.
 *
 * @param isFirst whether the connection has not registered yet
 * @throws {ProtocolError} if it is malformed
 */
export function readRegistration(text: string, isFirst: boolean): Registration {
  const members = readMembers(text);
  if (members.type !== "register") {
    throw new ProtocolError("not_registered", 'The first message must be {"type":"register",…}.');
  }
  try {
    const { presence, resume, token } = members;
    return {
      clientId: readId("client_id", members.client_id),
      room: members.room ? readId("room", members.room) : "",
      presence: readPresence(presence),
      resume: readResume(resume),
      token,
    };
  } catch (error) {
    if (isFirst) throw error;
    throw new ProtocolError("already_registered", (error as Error).message);
  }
}

function readId(name: string, value: unknown): string {
  if (isClientId(value)) return value;
  throw new ProtocolError(
    "invalid_client_id",
    `${name} must be a string of 1 to 128 characters without control characters, not ${
      describe(value)
    }.`,
  );
}

function readPresence(value: unknown = null): PresenceMode {
  if (value === null || value === false) return false;
  if (value === true || value === "batch") return value;
  throw new ProtocolError(
    "invalid_message",
    `presence must be true, false or "batch", not ${describe(value)}.`,
  );
}

function readResume(value: unknown = null): boolean | string {
  if (value === null) return false;
  if (typeof value === "boolean" || typeof value === "string") return value;
  throw new ProtocolError(
    "invalid_message",
    `resume must be true, false or the secret, not ${describe(value)}.`,
  );
}

/** Returns the target of a message that is refused. */
export function targetOf(text: string): string | undefined {
  try {
    const { target_id: targetId } = readMembers(text);
    return typeof targetId === "string" && targetId !== "" ? targetId : undefined;
  } catch {
    return undefined;
  }
}
