// @ts-check
/// <reference lib="dom" />

/** Dialog that confirms a disconnect, and then asks the server for it. */

import { visible } from "./format.js";

const TIMEOUT_MS = 5000;

/** @typedef {import("./clients.js").Client} Client */

export class Disconnection {
  #find;
  #onDone;
  /** @type {Client | null} */
  #client = null;

  /**
   * @param {(id: string) => HTMLElement} find an element of the page
   * @param {(message: string) => void} onDone gets the result, as a sentence
   */
  constructor(find, onDone) {
    this.#find = find;
    this.#onDone = onDone;
    find("confirm-no").addEventListener("click", () => this.#dialog.close());
    find("confirm-yes").addEventListener("click", () => this.#disconnect());
    // The browser gives the focus back to the button, but that row may be gone.
    this.#dialog.addEventListener("close", () => {
      if (document.activeElement === document.body) find("clients").focus();
    });
  }

  get #dialog() {
    return /** @type {HTMLDialogElement} */ (this.#find("confirm"));
  }

  /** @param {Client} client */
  ask(client) {
    this.#client = client;
    const room = client.room === null ? "the default room" : `room ${visible(client.room)}`;
    this.#find("confirm-id").textContent = visible(client.id);
    this.#find("confirm-where").textContent = `In ${room}, from ${client.address}.`;
    this.#find("confirm-trouble").hidden = true;
    this.#dialog.showModal();
  }

  async #disconnect() {
    if (this.#client === null) return;
    const { id } = this.#client;
    try {
      const status = await remove(this.#client);
      this.#dialog.close();
      const what = status === 404 ? "was not connected any more" : "was disconnected";
      this.#onDone(`${visible(id)} ${what}.`);
    } catch (error) {
      const trouble = this.#find("confirm-trouble");
      trouble.textContent = `The client was not disconnected: ${
        /** @type {Error} */ (error).message
      }`;
      trouble.hidden = false;
    }
  }
}

/**
 * Asks the server to disconnect a client.
 *
 * @param {Client} client
 * @returns {Promise<number>} 204, or 404 if the client was not connected any more
 * @throws {Error} with the server's text
 */
async function remove({ id, room, dialect }) {
  // A parameter, because no URL can end in the path "." or "..".
  const query = new URLSearchParams({ id, room: room ?? "", ...(dialect && { dialect }) });
  const response = await fetch(`api/clients?${query}`, {
    method: "DELETE",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  if (!response.ok && response.status !== 404) throw new Error(text.trim());
  return response.status;
}
