// @ts-check

/** Error texts for people: what went wrong, and what to do. */

import { t } from "./text.js";

/** @type {Readonly<Record<string, (clientId: string) => string>>} */
const ADVICE = {
  unauthorized: (id) =>
    t("This server asks for a valid token. Paste one here; its operator can make it with") +
    `\nsignalbox token --client-id ${id}`,
  forbidden: (id) => t("The token is valid, but not for {0} in this room. Paste another one.", id),
  id_taken: (id) =>
    t("Another client is connected as {0}. Choose another ID, and connect again.", id),
  id_held: (id) =>
    t("The server holds {0} for a client that lost its connection. Please wait.", id),
  replaced: (id) =>
    t("Another client has connected as {0}, such as a second tab. Choose another ID.", id),
  server_full: () => t("The server is full. Please wait."),
  invalid_client_id: () => t("IDs and rooms have 1 to 128 characters, no control characters."),
  target_not_found: () => t("The other peer is not connected. Connect it, and call again."),
  mailbox_full: () => t("The other peer is not connected, and its mailbox is full."),
  rate_limited: () => t("Too many messages at once: the server did not forward one of them."),
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
