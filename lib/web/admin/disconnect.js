// @ts-check
/// <reference lib="dom" />

/** Asks whether a client shall really be disconnected, and does it. */

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
   * @param {(message: string) => void} onDone is told what has happened
   */
  constructor(find, onDone) {
    this.#find = find;
    this.#onDone = onDone;
    find("confirm-no").addEventListener("click", () => this.#dialog.close());
    find("confirm-yes").addEventListener("click", () => this.#disconnect());
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
    const { id, room } = this.#client;
    try {
      const status = await remove(id, room);
      this.#dialog.close();
      const what = status === 404 ? "had left already" : "was disconnected";
      this.#onDone(`${visible(id)} ${what}.`);
    } catch (error) {
      const trouble = this.#find("confirm-trouble");
      trouble.textContent = `It did not work: ${/** @type {Error} */ (error).message}`;
      trouble.hidden = false;
    }
  }
}

/**
 * @param {string} id
 * @param {string | null} room
 * @returns {Promise<number>} 204, or 404 where it was not there any more
 * @throws {Error} with what the server said
 */
async function remove(id, room) {
  // As a parameter, not in the path: no URL can have "." or ".." as its last part.
  const response = await fetch(`api/clients?${new URLSearchParams({ id, room: room ?? "" })}`, {
    method: "DELETE",
    headers: { "x-signalbox-admin": "1" },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  if (!response.ok && response.status !== 404) throw new Error(text.trim());
  return response.status;
}
