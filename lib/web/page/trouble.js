// @ts-check

/** What went wrong, and what to do about it, in words for a person. */

/** @type {Readonly<Record<string, (clientId: string) => string>>} */
const ADVICE = {
  unauthorized: (id) =>
    "This server lets only clients in that bring a valid token. Paste one here; whoever runs it can make " +
    `it with\nsignalbox token --client-id ${id}`,
  forbidden: (id) => `The token is valid, but not for ${id} in this room. Paste one that is.`,
  id_taken: (id) => `Somebody else is connected as ${id}. Choose another ID, and connect again.`,
  replaced: (id) =>
    `Somebody else has connected as ${id}: a second tab with the same ID, perhaps. Choose another ID, ` +
    "and connect again.",
  invalid_client_id: () => "IDs and rooms have 1 to 128 characters, and no control characters.",
  target_not_found: () => "The other peer is not connected. Connect it, and call again.",
  mailbox_full: () => "The other peer is not connected, and the server keeps no more for it.",
  rate_limited: () => "Too many messages at once: the server did not forward one of them.",
  disconnected: () => "The operator of this server has ended this connection.",
};

/**
 * @param {{ code: string, message: string }} error
 * @param {string} clientId
 */
export function explain({ code, message }, clientId) {
  return ADVICE[code]?.(clientId) ?? message;
}

/** @param {string} code of an error */
export function isAboutToken(code) {
  return code === "unauthorized" || code === "forbidden";
}
