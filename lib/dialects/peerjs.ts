/** The protocol of PeerJS, for clients of PeerServer. */

import { createHash, randomUUID } from "node:crypto";
import {
  type Command,
  type Dialect,
  type HttpResponse,
  isClientId,
  type Notice,
  ProtocolError,
  type Storage,
} from "../relay/vocabulary.ts";
import { compileNames, readLast, scanMembers } from "./members.ts";

/** A namespace that no client of the core can name: it has a control character. */
const PEERJS_ROOM = "\u0001peerjs";

/** PeerServer stores messages for 5 s. */
const STORED: Storage = { maxTtlMs: 5000, expiresTogether: true };
const NEVER_STORED: Storage = { maxTtlMs: 0, expiresTogether: true };
const FORWARDED_TYPES = ["OFFER", "ANSWER", "CANDIDATE", "LEAVE"];
const MEMBERS = compileNames("type", "dst", "payload");
/** A path that ends in /peerjs, and a query with a key or an ID. */
const URL_PATTERN = /^[^?#]*\/peerjs\?(?:[^#]*&)?(?:key|id)(?:[=&#]|$)/;

export interface PeerJsOptions {
  /** The key that clients must give in their URL. */
  readonly peerjsKey: string;
  /** True if clients may list all IDs. */
  readonly peerjsDiscovery: boolean | undefined;
}

/** @param needsToken true if IDs are not listed, because PeerJS requests the list without a token */
export function peerjs(options: PeerJsOptions, needsToken: boolean): Dialect {
  const { peerjsKey: key } = options;
  return {
    name: "peerjs",
    accepts: () => false, // only a URL decides
    acceptsUrl: (url) => URL_PATTERN.test(url),
    decodeUrl: (url) => decodeUrl(url, key),
    answerHttp: (pathname, listIds) => answerHttp(pathname, listIds, options, needsToken),
    sender: (clientId) => JSON.stringify(clientId),
    decode: (text, sender) => sender === null ? { kind: "ignore" } : decode(text, sender),
    encode,
    targetOf: () => undefined,
  };
}

function decodeUrl({ searchParams }: URL, key: string): Command {
  const clientId = searchParams.get("id");
  const token = searchParams.get("token");
  if (!clientId || !token || !searchParams.get("key")) {
    throw new ProtocolError(
      "invalid_client_id",
      "No id, token, or key supplied to websocket server",
    );
  }
  if (searchParams.get("key") !== key) throw new ProtocolError("forbidden", "Invalid key provided");
  if (!isClientId(clientId)) {
    const message = "The id must have 1 to 128 characters and no control characters.";
    throw new ProtocolError("invalid_client_id", message);
  }
  const ownSecret = createHash("sha256").update(token).digest("base64url"); // a token may have 60 KiB
  const options = { room: PEERJS_ROOM, presence: false, resume: false } as const;
  return { kind: "register", registration: { clientId, token, ownSecret, ...options } };
}

/** Answers PeerJS' HTTP requests for a fresh ID and for the list of all IDs; null for any other path. */
function answerHttp(
  pathname: string,
  listIds: (room: string) => Promise<readonly string[]>,
  { peerjsKey, peerjsDiscovery }: PeerJsOptions,
  needsToken: boolean,
): Promise<HttpResponse> | null {
  const [, key, what] = /\/([^/]+)\/(id|peers)$/.exec(pathname) ?? [];
  const keys = [peerjsKey, encodeURIComponent(peerjsKey)];
  if (what === undefined || !keys.includes(key!)) return null;
  if (what === "id") return Promise.resolve({ status: 200, type: "text/html", body: randomUUID() });
  if (!peerjsDiscovery || needsToken) {
    return Promise.resolve({ status: 401, type: "text/plain", body: "Unauthorized" });
  }
  return listIds(PEERJS_ROOM)
    .then((ids) => ({ status: 200, type: "application/json", body: JSON.stringify(ids) }));
}

function decode(text: string, sender: string): Command {
  const scan = scanMembers(text, MEMBERS);
  const type = readLast(text, scan, "type");
  const targetId = readLast(text, scan, "dst");
  const isForwarded = typeof type === "string" && FORWARDED_TYPES.includes(type);
  if (!isForwarded || typeof targetId !== "string" || targetId === "") return { kind: "ignore" };
  const payload = scan.members.findLast(({ name }) => name === "payload");
  const rest = payload && `,"payload":${text.slice(payload.valueStart, payload.valueEnd)}`;
  return {
    kind: "send",
    targetId,
    type,
    bytes: scan.bytes,
    text: `{"type":"${type}","src":${sender},"dst":${JSON.stringify(targetId)}${rest ?? ""}}`,
    storage: type === "LEAVE" ? NEVER_STORED : STORED,
  };
}

/** Writes ERROR only before a close, because it ends a PeerJS client. */
function encode(notice: Notice, clientId: string): string | null {
  if (notice.kind === "registered") return '{"type":"OPEN"}';
  if (notice.kind !== "error") return null;
  const { code, message, targetId } = notice;
  switch (code) {
    case "target_not_found":
    case "mailbox_full":
    case "unavailable":
      return JSON.stringify({ type: "EXPIRE", src: targetId, dst: clientId });
    case "id_taken":
      return JSON.stringify({ type: "ID-TAKEN", payload: { msg: "ID is taken" } });
    case "invalid_message":
    case "rate_limited":
    case "replaced":
      return null;
    default:
      return JSON.stringify({ type: "ERROR", payload: { msg: message } });
  }
}
