// @ts-check
/// <reference lib="dom" />

/** The invitation for another device: a link, and its QR code. */

import { generate } from "./lean_qr.js";
import { t } from "./text.js";

/** Time for which the button shows "Copied". */
const COPIED_MS = 1500;

/**
 * @typedef {object} Invitation
 * @property {string} guest the ID to join as
 * @property {string} host the ID to call
 * @property {string} room
 */

export class Invite {
  root;

  constructor() {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("invite"));
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.root = /** @type {HTMLElement} */ (copy.firstElementChild);
    const link = /** @type {HTMLInputElement} */ (this.#part("link"));
    const button = /** @type {HTMLButtonElement} */ (this.root.querySelector("[name=copy]"));
    link.addEventListener("focus", () => link.select());
    button.addEventListener("click", async () => {
      await copyText(link);
      button.textContent = t("Copied");
      setTimeout(() => button.textContent = t("Copy"), COPIED_MS);
    });
    const isLocal = isLoopback(location.hostname);
    this.#part("local").hidden = !isLocal;
    this.#part("code").hidden = isLocal; // no other device could open it
  }

  /** @param {Invitation} invitation */
  show(invitation) {
    const link = writeLink(invitation);
    this.#part("guest").textContent = invitation.guest;
    this.#part("host").textContent = invitation.host;
    const input = /** @type {HTMLInputElement} */ (this.#part("link"));
    if (input.value === link) return;
    input.value = link;
    generate(link).toCanvas(/** @type {HTMLCanvasElement} */ (this.#part("code")));
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.root.querySelector(`[data-part=${name}]`));
  }
}

/**
 * Writes a link. Its parameters follow the `#`, so that no server gets them.
 *
 * @param {Invitation} invitation
 */
function writeLink({ guest, host, room }) {
  const hash = new URLSearchParams({ join: guest, call: host, ...(room && { room }) });
  return `${location.origin}${location.pathname}#${hash}`;
}

/** @returns {Invitation | null} null if the page was not opened by such a link */
export function readLink() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const guest = hash.get("join");
  const host = hash.get("call");
  return guest && host ? { guest, host, room: hash.get("room") ?? "" } : null;
}

/** @param {HTMLInputElement} input */
async function copyText(input) {
  try {
    await navigator.clipboard.writeText(input.value); // missing in a page over plain http
  } catch {
    input.select();
    document.execCommand("copy");
  }
}

/** @param {string} hostname */
function isLoopback(hostname) {
  return hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
}
