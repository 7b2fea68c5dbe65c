// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

/** The list of clients: the server filters, sorts and pages it, so that any number of them is the same to the page. */

import { duration, number, size, visible } from "./format.js";

const REFRESH_MS = 2000;
const FILTER_DELAY_MS = 200;
const TIMEOUT_MS = 5000;
const PAGE_SIZE = 50;

/**
 * @typedef {object} Client as `/api/clients` gives it
 * @property {string | null} room
 * @property {string} id
 * @property {string} address
 * @property {string} connected_since
 * @property {number} messages_in
 * @property {number} messages_out
 * @property {number} waiting_bytes
 */

/**
 * @typedef {object} Column
 * @property {string} key by which the server sorts
 * @property {string} title
 * @property {boolean} [isNumber] sorted from the highest at first
 * @property {(client: Client) => string} read
 */

/** @type {Column} */
const SINCE = {
  key: "connected_since",
  title: "Connected for",
  read: ({ connected_since }) => duration(Date.now() - Date.parse(connected_since)),
};

/** @type {readonly Column[]} */
const COLUMNS = [
  { key: "id", title: "ID", read: ({ id }) => visible(id) },
  { key: "room", title: "Room", read: ({ room }) => room === null ? "–" : visible(room) },
  { key: "address", title: "Address", read: ({ address }) => address },
  SINCE,
  { key: "messages_in", title: "In", isNumber: true, read: (client) => number(client.messages_in) },
  {
    key: "messages_out",
    title: "Out",
    isNumber: true,
    read: (client) => number(client.messages_out),
  },
  {
    key: "waiting_bytes",
    title: "Waiting",
    isNumber: true,
    read: ({ waiting_bytes }) => waiting_bytes === 0 ? "–" : size(waiting_bytes),
  },
];

export class ClientList {
  #find;
  #onDisconnect;
  #filter = "";
  #sort = "id";
  #offset = 0;
  #matching = 0;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #request = new AbortController();

  /**
   * @param {(id: string) => HTMLElement} find an element of the page
   * @param {(client: Client) => void} onDisconnect a button was pressed
   */
  constructor(find, onDisconnect) {
    this.#find = find;
    this.#onDisconnect = onDisconnect;
    find("columns").append(...COLUMNS.map((column) => this.#header(column)), actionHeader());
    const filter = /** @type {HTMLInputElement} */ (find("filter"));
    filter.addEventListener("input", () => {
      this.#filter = filter.value;
      this.#offset = 0;
      this.#refreshIn(FILTER_DELAY_MS);
    });
    find("previous").addEventListener("click", () => this.#turn(-PAGE_SIZE));
    find("next").addEventListener("click", () => this.#turn(PAGE_SIZE));
    document.addEventListener("visibilitychange", () => this.#refreshIn(0));
    this.#showOrder();
    this.#refreshIn(0);
  }

  /** @param {Column} column */
  #header({ key, title, isNumber }) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.dataset.key = key;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title;
    button.addEventListener("click", () => {
      const [first, second] = isNumber ? [`-${key}`, key] : [key, `-${key}`];
      this.#sort = this.#sort === first ? second : first;
      this.#offset = 0;
      this.#showOrder();
      this.#refreshIn(0);
    });
    cell.append(button);
    return cell;
  }

  #showOrder() {
    for (const cell of this.#find("columns").querySelectorAll("th")) {
      const isSorted = cell.dataset.key === this.#sort.replace("-", "");
      const order = this.#sort.startsWith("-") ? "descending" : "ascending";
      cell.setAttribute("aria-sort", isSorted ? order : "none");
    }
  }

  /** @param {number} by */
  #turn(by) {
    this.#offset = Math.max(0, this.#offset + by);
    this.#refreshIn(0);
  }

  /** Asks for the page anew, as soon as can be. */
  refresh() {
    this.#refreshIn(0);
  }

  /** @param {number} delayMs */
  #refreshIn(delayMs) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#refresh(), delayMs);
  }

  async #refresh() {
    if (document.hidden) return; // it comes back with visibilitychange
    this.#request.abort(); // an answer to an earlier question would only be in the way
    this.#request = new AbortController();
    const { signal } = this.#request;
    try {
      const response = await fetch(`api/clients?${this.#query()}`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      if (response.ok) this.#show(await response.json());
    } catch {
      // The state at the top of the page tells that the server does not answer.
    }
    if (!signal.aborted) this.#refreshIn(REFRESH_MS);
  }

  #query() {
    return new URLSearchParams({
      filter: this.#filter,
      sort: this.#sort,
      offset: String(this.#offset),
      limit: String(PAGE_SIZE),
    });
  }

  /** @param {{ total: number, matching: number, clients: readonly Client[] }} page */
  #show({ total, matching, clients }) {
    this.#matching = matching;
    if (clients.length === 0 && matching > 0) return this.#turn(-PAGE_SIZE); // the last page has gone
    this.#find("count").textContent = matching === total
      ? number(total)
      : `${number(matching)} of ${number(total)}`;
    this.#showRows(clients);
    this.#showPlace(clients.length);
    const empty = this.#find("empty");
    empty.hidden = matching > 0;
    empty.textContent = total === 0 ? "Nobody is connected." : "No client matches the filter.";
  }

  /** @param {readonly Client[]} clients */
  #showRows(clients) {
    const rows = new Map(clients.map((client) => {
      const key = JSON.stringify([client.room, client.id]);
      const row = this.#rows.get(key) ?? new Row((client) => this.#onDisconnect(client));
      row.show(client);
      return [key, row];
    }));
    const body = this.#find("rows");
    const elements = [...rows.values()].map(({ element }) => element);
    if (elements.some((element, i) => body.children[i] !== element)) {
      const focused = document.activeElement; // an element that moves loses the focus
      body.replaceChildren(...elements);
      if (focused instanceof HTMLElement && body.contains(focused)) focused.focus();
    } else {
      while (body.children.length > elements.length) body.lastElementChild?.remove();
    }
    this.#rows = rows;
  }

  /** @param {number} shown */
  #showPlace(shown) {
    const first = this.#offset + 1;
    const last = this.#offset + shown;
    this.#find("range").textContent = shown === 0 ? "" : `${number(first)} to ${number(last)}`;
    const previous = /** @type {HTMLButtonElement} */ (this.#find("previous"));
    const next = /** @type {HTMLButtonElement} */ (this.#find("next"));
    previous.disabled = this.#offset === 0;
    next.disabled = last >= this.#matching;
  }
}

/** One client's row, which stays the same element while the client is on the page. */
class Row {
  element = document.createElement("tr");
  #cells = COLUMNS.map((column) => makeCell(column));
  #button = document.createElement("button");
  /** @type {Client | undefined} */
  #client;

  /** @param {(client: Client) => void} onDisconnect */
  constructor(onDisconnect) {
    this.#button.type = "button";
    this.#button.textContent = "Disconnect";
    this.#button.addEventListener("click", () => {
      if (this.#client !== undefined) onDisconnect(this.#client);
    });
    const action = document.createElement("td");
    action.className = "action";
    action.append(this.#button);
    this.element.append(...this.#cells.map(({ cell }) => cell), action);
  }

  /** @param {Client} client */
  show(client) {
    this.#client = client;
    for (const { column, cell, text } of this.#cells) {
      const value = column.read(client);
      if (text.textContent === value) continue; // what does not change can be selected and copied
      text.textContent = value;
      cell.title = column === SINCE ? new Date(client.connected_since).toLocaleString() : value;
    }
    this.#button.setAttribute("aria-label", `Disconnect ${visible(client.id)}`);
    this.element.classList.toggle("waiting", client.waiting_bytes > 0);
  }
}

/** @param {Column} column */
function makeCell(column) {
  const cell = document.createElement(column.key === "id" ? "th" : "td");
  if (column.key === "id") cell.setAttribute("scope", "row");
  if (column.isNumber) cell.className = "number";
  cell.dataset.column = column.key;
  cell.dataset.label = column.title;
  const text = document.createElement("bdi"); // right-to-left letters stay in their cell
  cell.append(text);
  return { column, cell, text };
}

function actionHeader() {
  const cell = document.createElement("th");
  const hidden = document.createElement("span");
  hidden.className = "visually-hidden";
  hidden.textContent = "Action";
  cell.append(hidden);
  return cell;
}
