/** Reads the `register` message of the core protocol. */

import {
  describe,
  isClientId,
  type PresenceMode,
  ProtocolError,
  type Registration,
} from "../relay/vocabulary.ts";
import { readTarget } from "./envelope.ts";
import { compileNames, readLast, scanMembers, tryScanMembers, type Value } from "./members.ts";

/** Upper bound of a client's first message, in bytes of UTF-8. No token or rate limit protects the server yet. */
export const MAX_REGISTER_BYTES = 16 * 1024;

/** Names that clients use for `client_id` by accident. */
const WRONG_NAMES = ["clientId", "id"] as const;

const NAMES = compileNames(
  "type",
  "client_id",
  ...WRONG_NAMES,
  "room",
  "presence",
  "resume",
  "token",
  "target_id",
);

const TYPE = compileNames("type");

/** Returns whether a message is a `register`, valid or not. */
export function isRegister(text: string): boolean {
  const scan = tryScanMembers(text, TYPE);
  return scan !== null && readLast(text, scan, "type") === "register";
}

/** Reads the last member with this name; undefined if there is none. */
type Read = (name: (typeof NAMES.list)[number]) => Value | undefined;

/**
 * Reads a `register` message.
 *
 * @param isFirst true if the connection has not registered yet
 * @throws {ProtocolError} if it is malformed; `already_registered` if it is a later one that is valid JSON
 */
export function readRegistration(text: string, isFirst: boolean): Registration {
  const scan = scanMembers(text, NAMES);
  const read: Read = (name) => readLast(text, scan, name);
  if (isFirst) checkFirst(scan.bytes, read);
  try {
    readTarget(read("target_id"));
    return {
      clientId: readClientId(read),
      room: readRoom(read("room")),
      presence: readPresence(read("presence")),
      resume: readResume(read("resume")),
      token: read("token"),
    };
  } catch (error) {
    if (isFirst || !(error instanceof ProtocolError)) throw error;
    throw new ProtocolError("already_registered", error.message);
  }
}

function checkFirst(bytes: number, read: Read): void {
  const type = read("type");
  if (type !== "register") {
    const found = type === undefined ? "missing" : describe(type);
    const message = 'The first message must be {"type":"register","client_id":"…"}. Its type is ' +
      `${found}.`;
    throw new ProtocolError("not_registered", message);
  }
  if (bytes > MAX_REGISTER_BYTES) {
    const message =
      `The first register has ${bytes} bytes, over the limit of ${MAX_REGISTER_BYTES}.`;
    throw new ProtocolError("message_too_large", message);
  }
}

function readClientId(read: Read): string {
  const value = read("client_id");
  if (value !== undefined) return readId("client_id", value);
  const misnamed = WRONG_NAMES.find((name) => read(name) !== undefined);
  const advice = misnamed === undefined
    ? 'send {"type":"register","client_id":"…"}'
    : `rename "${misnamed}" to "client_id"`;
  const message = `client_id is missing: ${advice}.`;
  throw new ProtocolError("invalid_client_id", message);
}

function readRoom(value: Value = null): string {
  return value === null || value === "" ? "" : readId("room", value);
}

function readId(name: string, value: Value): string {
  if (isClientId(value)) return copy(value);
  const message = `${name} must be a string of 1 to 128 characters without control characters, ` +
    `not ${describe(value)}.`;
  throw new ProtocolError("invalid_client_id", message);
}

/** Copies an ID, because V8 keeps a whole message in memory as long as a part of it is in use. */
function copy(id: string): string {
  return JSON.parse(JSON.stringify(id));
}

function readPresence(value: Value = null): PresenceMode {
  if (value === null || value === false) return false;
  if (value === true || value === "batch") return value;
  const message = `presence must be true, false or "batch", not ${describe(value)}.`;
  throw new ProtocolError("invalid_message", message);
}

function readResume(value: Value = null): boolean | string {
  if (value === null) return false;
  if (typeof value === "boolean" || typeof value === "string") return value;
  const message = `resume must be true, false or the resume secret, not ${describe(value)}.`;
  throw new ProtocolError("invalid_message", message);
}
