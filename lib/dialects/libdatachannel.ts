/** The protocol of libdatachannel's example signaling server: the URL's path is the client's ID. */

import { type Command, type Dialect, isClientId, type Storage } from "../relay/vocabulary.ts";
import { compileNames, readLast, replaceMembers, scanMembers, tryScanMembers } from "./members.ts";

const ROOM = "\u0001libdatachannel";
const MEMBERS = compileNames("id", "type");
/** Messages expire without a notice, because the protocol has none. */
const STORAGE: Storage = { maxTtlMs: Infinity, expiresTogether: false };

export const libdatachannel: Dialect = {
  name: "libdatachannel",
  acceptsUrl: (url) => idIn(new URL(url)) !== null,
  decodeUrl,
  isTentative: true, // a callee is silent until it is called
  accepts: (text) =>
    tryScanMembers(text, MEMBERS)?.members.some(({ name }) => name === "id") === true,
  sender: (clientId) => JSON.stringify(clientId),
  decode: (text, sender) => sender === null ? { kind: "ignore" } : decode(text, sender),
  encode: () => null,
  targetOf: () => undefined,
};

/** Returns the ID in a URL's path; null if it has none. */
function idIn({ pathname }: URL): string | null {
  const [, segment] = /^\/([^/]+)$/.exec(pathname) ?? [];
  const clientId = segment === undefined ? null : decodeSegment(segment);
  return isClientId(clientId) ? clientId : null;
}

function decodeUrl(url: URL): Command {
  const clientId = idIn(url) ?? "";
  const options = { room: ROOM, presence: false, resume: false, token: undefined } as const;
  return { kind: "register", registration: { clientId, ...options } };
}

function decodeSegment(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

function decode(text: string, sender: string): Command {
  const scan = scanMembers(text, MEMBERS);
  const targetId = readLast(text, scan, "id");
  if (typeof targetId !== "string" || targetId === "") return { kind: "ignore" };
  const type = readLast(text, scan, "type");
  const ids = scan.members.filter(({ name }) => name === "id");
  return {
    kind: "send",
    targetId,
    type: typeof type === "string" ? type : undefined,
    bytes: scan.bytes,
    text: replaceMembers(text, ids, `"id":${sender}`),
    storage: STORAGE,
  };
}
