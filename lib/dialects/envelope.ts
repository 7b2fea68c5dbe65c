/** Reads the target of a message, and replaces it by the sender without changing any other member. */

import { type Content, describe, ProtocolError } from "../relay/vocabulary.ts";
import {
  compileNames,
  readLast,
  replaceMembers,
  scanMembers,
  tryScanMembers,
  type Value,
} from "./members.ts";

/** A message of a client. Its text is for the receivers: without `target_id`, and with the server's `from`. */
export interface Envelope extends Content {
  /** The ID of the target; `""` for all others. */
  readonly targetId: string;
}

const NAMES = compileNames("type", "target_id", "from");
const TARGET = compileNames("target_id");

/** Returns the member that {@link readEnvelope} inserts: `"from":"<ID>"`. Called once for each client. */
export function fromMember(clientId: string): string {
  return `"from":${JSON.stringify(clientId)}`;
}

/**
 * Reads a message and readdresses it. Cuts out every top-level `target_id` and `from`, and inserts `from` at the place of
 * the first of them, or else in front. All other members stay as they are.
 *
 * @param from what {@link fromMember} returned for the sender
 * @throws {ProtocolError} `invalid_message` if it is not a JSON object, or its `target_id` is neither a string nor null
 */
export function readEnvelope(text: string, from: string): Envelope {
  const scan = scanMembers(text, NAMES);
  const type = readLast(text, scan, "type");
  const addresses = scan.members.filter(({ name }) => name !== "type");
  return {
    type: typeof type === "string" ? type : undefined,
    targetId: readTarget(readLast(text, scan, "target_id")),
    bytes: scan.bytes,
    text: addresses.length === 0 ? prepend(text, from) : replaceMembers(text, addresses, from),
  };
}

function prepend(text: string, from: string): string {
  const inside = text.indexOf("{") + 1;
  const rest = text.slice(inside);
  const comma = /^[ \t\n\r]*\}/.test(rest) ? "" : ",";
  return text.slice(0, inside) + from + comma + rest;
}

/**
 * Returns the target that a `target_id` names, `""` for all.
 *
 * @throws {ProtocolError} `invalid_message` if it is neither a string nor null, or an escaped string longer than any ID
 */
export function readTarget(value: Value | undefined): string {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "";
  const message = `target_id must be the ID of a client or null, not ${describe(value)}.`;
  throw new ProtocolError("invalid_message", message);
}

/** Returns the target of a refused message, at little cost; undefined if it has none. */
export function targetOf(text: string): string | undefined {
  const scan = tryScanMembers(text, TARGET);
  const target = scan && readLast(text, scan, "target_id");
  return typeof target === "string" && target !== "" ? target : undefined;
}
