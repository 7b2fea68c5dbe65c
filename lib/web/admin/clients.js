// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

/** The list of clients. The server filters, sorts and pages it, so the page shows any number of clients at the same cost. */

import { duration, number, size, visible } from "./format.js";

const REFRESH_MS = 2000;
const FILTER_DELAY_MS = 200;
const TIMEOUT_MS = 5000;
const PAGE_SIZE = 50;

/**
 * @typedef {object} Client as `/api/clients` gives it
 * @property {string | null} room null: the default room
 * @property {string} id
 * @property {string | null} [dialect] null: the core protocol
 * @property {string} address
 * @property {string} connected_since
 * @property {number} messages_in
 * @property {number} messages_out
 * @property {number} waiting_bytes
 */

/**
 * @typedef {object} Column
 * @property {string} key the server's name for it, to sort by
 * @property {string} title
 * @property {boolean} [isNumber] sorts from the highest at first
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
  { key: "dialect", title: "Dialect", read: ({ dialect }) => dialect ?? "–" },
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
  /** A change of the filter whose result has not been announced. */
  #isFilterNew = false;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #request = new AbortController();

  /**
   * @param {(id: string) => HTMLElement} find finds an element of the page
   * @param {(client: Client) => void} onDisconnect called when a button "Disconnect" is pressed
   */
  constructor(find, onDisconnect) {
    this.#find = find;
    this.#onDisconnect = onDisconnect;
    find("columns").append(...COLUMNS.map((column) => this.#header(column)), actionHeader());
    const filter = /** @type {HTMLInputElement} */ (find("filter"));
    filter.addEventListener("input", () => {
      this.#filter = filter.value;
      this.#offset = 0;
      this.#isFilterNew = true;
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

  /** Fetches the page again, now. */
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
    this.#request.abort(); // the answer to an earlier request would be stale
    this.#request = new AbortController();
    const { signal } = this.#request;
    try {
      const response = await fetch(`api/clients?${this.#query()}`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      if (response.ok) this.#show(await response.json());
    } catch {
      // The state at the top of the page says that the server does not answer.
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
    if (clients.length === 0 && matching > 0) return this.#turn(-PAGE_SIZE); // the last page is empty now
    const count = matching === total ? number(total) : `${number(matching)} of ${number(total)}`;
    this.#find("count").textContent = count;
    if (this.#isFilterNew) {
      this.#find("announcer").textContent = `${count} clients shown.`;
      this.#isFilterNew = false;
    }
    this.#showRows(clients);
    this.#showPlace(clients.length);
    const empty = this.#find("empty");
    empty.hidden = matching > 0;
    empty.textContent = total === 0 ? "No client is connected." : "No client matches the filter.";
  }

  /** @param {readonly Client[]} clients */
  #showRows(clients) {
    const rows = new Map(clients.map((client) => {
      const key = JSON.stringify([client.dialect, client.room, client.id]);
      const row = this.#rows.get(key) ?? new Row((client) => this.#onDisconnect(client));
      row.show(client);
      return [key, row];
    }));
    const body = this.#find("rows");
    const elements = [...rows.values()].map(({ element }) => element);
    const isSame = elements.length === body.children.length &&
      elements.every((element, i) => body.children[i] === element);
    if (!isSame) {
      const focused = document.activeElement; // an element that moves loses the focus
      const place = Array.from(body.children).findIndex((row) => row.contains(focused));
      body.replaceChildren(...elements);
      if (place >= 0) this.#focusNear(/** @type {HTMLElement} */ (focused), place);
    }
    this.#rows = rows;
  }

  /**
   * Gives the focus back after the rows were exchanged: to the same button, or to the one in its place.
   *
   * @param {HTMLElement} focused
   * @param {number} place of its row
   */
  #focusNear(focused, place) {
    if (focused.isConnected) return focused.focus();
    const buttons = this.#find("rows").querySelectorAll("button");
    (buttons[Math.min(place, buttons.length - 1)] ?? this.#find("clients")).focus();
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

/** Row of one client; the element stays the same while the client is on the page. */
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
      if (text.textContent === value) continue; // keeps a selection
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
  const text = document.createElement("bdi"); // isolates right-to-left letters
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
