// @ts-check
/// <reference lib="dom" />

/** The messages of this page on the wire, newest first, with a filter. */

import { t } from "./text.js";

const MAX_MESSAGES = 300;
/** Members with secrets, which a screenshot must not show. */
const SECRET_MEMBERS = new Set(["token", "resume", "credential"]);

/**
 * @typedef {object} WireMessage
 * @property {"left" | "right"} side
 * @property {string} clientId
 * @property {"in" | "out"} direction
 * @property {string} text
 */

export class Wire {
  #list = byId("messages");
  #count = byId("count");
  #filter = /** @type {HTMLFormElement} */ (byId("filter"));
  #isPaused = false;
  #unseen = 0;

  constructor() {
    this.#filter.addEventListener("submit", (event) => event.preventDefault());
    this.#filter.addEventListener("input", () => this.#show());
    button(this.#filter, "clear").addEventListener("click", () => {
      this.#list.replaceChildren();
      this.#show();
    });
    const pause = button(this.#filter, "pause");
    pause.addEventListener("click", () => {
      this.#isPaused = !this.#isPaused;
      this.#unseen = 0;
      pause.setAttribute("aria-pressed", String(this.#isPaused));
      this.#show();
    });
  }

  /** @param {WireMessage} message */
  add(message) {
    if (this.#isPaused) {
      this.#unseen++;
    } else {
      this.#offer(message.clientId);
      this.#list.prepend(render(message));
      while (this.#list.childElementCount > MAX_MESSAGES) this.#list.lastElementChild?.remove();
    }
    this.#show();
  }

  /**
   * Adds a client to the filter.
   *
   * @param {string} clientId
   */
  #offer(clientId) {
    const select = /** @type {HTMLSelectElement} */ (this.#filter.elements.namedItem("client"));
    const isKnown = Array.from(select.options).some(({ value }) => value === clientId);
    if (!isKnown) select.append(new Option(clientId, clientId));
  }

  #show() {
    const wanted = new FormData(this.#filter);
    const client = String(wanted.get("client") ?? "");
    const text = String(wanted.get("text") ?? "").toLowerCase();
    let shown = 0;
    for (const item of Array.from(this.#list.querySelectorAll("li"))) {
      const isWanted = (client === "" || item.dataset.client === client) &&
        (item.textContent ?? "").toLowerCase().includes(text);
      item.hidden = !isWanted;
      if (isWanted) shown++;
    }
    this.#count.textContent = this.#summary(shown);
  }

  /** @param {number} shown */
  #summary(shown) {
    const all = this.#list.childElementCount;
    if (all === 0 && !this.#isPaused) return t("No messages yet.");
    const count = shown === all ? t("Messages: {0}.", all) : t("Messages: {0} of {1}.", shown, all);
    return this.#isPaused ? count + t(" Paused: {0} more not shown.", this.#unseen) : count;
  }
}

/** @param {WireMessage} message */
function render({ side, clientId, direction, text }) {
  const message = JSON.parse(text);
  const item = document.createElement("li");
  item.dataset.side = side;
  item.dataset.client = clientId;
  item.dataset.direction = direction;
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.append(
    element("time", now()),
    element("b", clientId, "who"),
    element("span", direction === "out" ? t("to server") : t("from server"), "way"),
    element("strong", typeof message.type === "string" ? message.type : t("(no type)")),
    element("span", about(message), "about"),
    element("span", `${new TextEncoder().encode(text).length} B`, "size"),
  );
  details.append(summary, element("pre", readable(message)));
  item.append(details);
  return item;
}

/** @param {Record<string, unknown>} message */
function about({ target_id: target, from, code, candidate }) {
  const who = typeof from === "string"
    ? t("from {0}", from)
    : target
    ? t("for {0}", String(target))
    : "";
  const what = typeof code === "string" ? code : typeof candidate === "string" ? candidate : "";
  return [who, what].filter(Boolean).join(" · ");
}

/**
 * Formats a message over several lines, its SDP one line each.
 *
 * @param {Record<string, unknown>} message
 */
function readable(message) {
  const { sdp, ...rest } = message;
  const json = JSON.stringify(rest, (name, value) => {
    return SECRET_MEMBERS.has(name) && typeof value === "string" ? t("(hidden)") : value;
  }, 2);
  return typeof sdp === "string" ? `${json}\n\nsdp:\n${sdp.trimEnd()}` : json;
}

function now() {
  return new Date().toTimeString().slice(0, 8) + new Date().toISOString().slice(19, 23);
}

/**
 * @param {string} name
 * @param {string} text
 * @param {string} [className]
 */
function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

/** @param {string} id */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * @param {HTMLFormElement} form
 * @param {string} name
 */
function button(form, name) {
  return /** @type {HTMLButtonElement} */ (form.elements.namedItem(name));
}
