/** The core protocol, for signalbox's own clients. */

import type { Dialect, Notice } from "../relay/vocabulary.ts";
import { fromMember, readEnvelope, targetOf } from "./envelope.ts";
import { isRegister, readRegistration } from "./register.ts";

export const signalbox: Dialect = {
  name: null,

  accepts: isRegister,

  sender: fromMember,

  decode(text, sender) {
    if (sender === null) return { kind: "register", registration: readRegistration(text, true) };
    const { type, targetId, bytes, text: readdressed } = readEnvelope(text, sender);
    if (type === "register") {
      return { kind: "register", registration: readRegistration(text, false) };
    }
    return targetId === ""
      ? { kind: "broadcast", type, bytes, text: readdressed }
      : { kind: "send", targetId, type, bytes, text: readdressed };
  },

  encode: (notice) => JSON.stringify(membersOf(notice)),

  targetOf,
};

/** Writes a notice as an object. JSON.stringify leaves out undefined members. */
function membersOf(notice: Notice): Readonly<Record<string, unknown>> {
  switch (notice.kind) {
    case "registered": {
      const { clientId, room, peers, secret, resumed, iceServers } = notice;
      return {
        type: "registered",
        client_id: clientId,
        room: room || undefined,
        peers,
        resume: secret,
        resumed: secret === undefined ? undefined : resumed,
        ice_servers: iceServers,
      };
    }
    case "error": {
      const { code, message, targetId, retryAfterMs } = notice;
      return { type: "error", code, message, target_id: targetId, retry_after_ms: retryAfterMs };
    }
    case "peers_changed":
      return { type: "peers_changed", left: notice.left, joined: notice.joined };
    default:
      return { type: notice.kind, client_id: notice.clientId };
  }
}
