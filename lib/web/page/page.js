// @ts-check
/// <reference lib="dom" />

/** The page as a whole: two peers here, or one here and one on another device. */

import { IceCheck } from "./ice.js";
import { Invite, readLink } from "./invite.js";
import { Diagram } from "./map.js";
import { Panel } from "./panel.js";
import { t, translatePage } from "./text.js";
import { Wire } from "./wire.js";

/** Key in sessionStorage: a reload continues, and a second tab starts anew. */
const MEMORY_KEY = "signalbox page";

/**
 * State that survives a reload.
 *
 * @typedef {object} Memory
 * @property {string} room
 * @property {boolean} isElsewhere
 * @property {Record<"left" | "right", PanelMemory>} panels
 */

/**
 * @typedef {object} PanelMemory
 * @property {string} clientId
 * @property {string} token
 * @property {boolean} isConnected
 * @property {string | null} peerId
 */

class Page {
  /** Panels call onChange in their constructor, before the page is complete. */
  #isReady = false;
  #shallCall = false;
  #invitation = readLink();
  #diagram = new Diagram();
  #wire = new Wire();
  #ice = new IceCheck();
  #invite = new Invite();
  #form = /** @type {HTMLFormElement} */ (document.getElementById("start"));
  #left = this.#panel("left", t("ID of the first peer"), "#7f9cff");
  #right = this.#panel("right", t("ID of the second peer"), "#ff9a5c");

  start() {
    const panels = /** @type {HTMLElement} */ (document.getElementById("panels"));
    panels.append(this.#left.root, this.#right.root, this.#invite.root);
    showAddresses();
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#toggle();
    });
    this.#form.addEventListener("input", () => this.#arrange());
    addEventListener("hashchange", () => {
      sessionStorage.removeItem(MEMORY_KEY); // another link starts anew
      location.reload();
    });
    const memory = recall();
    this.#name(memory);
    this.#isReady = true;
    this.#arrange();
    if (memory) this.#goOn(memory);
    else if (this.#invitation) this.#toggle();
  }

  /**
   * @param {"left" | "right"} side
   * @param {string} label
   * @param {string} colour
   * @returns {Panel}
   */
  #panel(side, label, colour) {
    return new Panel({
      side,
      label,
      colour,
      partnerId: () => (side === "left" ? this.#right : this.#left).clientId,
      room: () => this.#field("room").value.trim(),
      onChange: () => this.#changed(),
      onMessage: (message) => {
        const { clientId } = side === "left" ? this.#left : this.#right;
        this.#wire.add({ side, clientId, ...message });
        this.#diagram.travel(side, message.direction);
      },
    });
  }

  /** @param {Memory | null} memory */
  #name(memory) {
    const number = String(Math.floor(Math.random() * 10_000)).padStart(4, "0");
    const { panels, room, isElsewhere } = memory ?? {};
    this.#left.clientId = panels?.left.clientId ?? this.#invitation?.host ?? `alice-${number}`;
    this.#right.clientId = panels?.right.clientId ?? this.#invitation?.guest ?? `bob-${number}`;
    this.#left.token = panels?.left.token ?? "";
    this.#right.token = panels?.right.token ?? "";
    this.#field("room").value = room ?? this.#invitation?.room ?? "";
    if (isElsewhere) this.#field("where").value = "elsewhere";
  }

  /** @param {Memory} memory */
  #goOn({ panels }) {
    for (const panel of this.#here) {
      const { isConnected, peerId } = panels[panel === this.#left ? "left" : "right"];
      if (isConnected) panel.connect();
      if (isConnected && peerId !== null) panel.call(peerId);
    }
  }

  /** The peers of this page. */
  get #here() {
    if (this.#invitation) return [this.#right];
    return this.#isElsewhere ? [this.#left] : [this.#left, this.#right];
  }

  get #isElsewhere() {
    return !this.#invitation && this.#field("where").value === "elsewhere";
  }

  #toggle() {
    if (this.#here.some((panel) => panel.isConnected)) {
      this.#shallCall = false;
      for (const panel of this.#here) panel.disconnect();
      return;
    }
    for (const panel of this.#here) panel.connect();
    if (this.#invitation) this.#right.call(this.#left.clientId);
    this.#shallCall = this.#here.length === 2;
  }

  /** Lets the first peer call the second as soon as both are registered. */
  #callWhenBothAreThere() {
    const areThere = this.#here.every(({ stop }) => stop.signaling === "registered");
    if (!this.#shallCall || !areThere) return;
    this.#shallCall = false;
    this.#left.call(this.#right.clientId);
  }

  /** Shows the peers of this page, and the invitation if the other one is elsewhere. */
  #arrange() {
    if (this.#isElsewhere) this.#right.disconnect();
    this.#left.root.hidden = !this.#here.includes(this.#left);
    this.#right.root.hidden = !this.#here.includes(this.#right);
    this.#invite.root.hidden = !this.#isElsewhere;
    document.body.classList.toggle("guest", this.#invitation !== null);
    this.#changed();
  }

  #changed() {
    if (!this.#isReady) return;
    const isConnected = this.#here.some((panel) => panel.isConnected);
    this.#button.textContent = isConnected
      ? t("Disconnect")
      : this.#here.length === 2
      ? t("Connect both")
      : t("Connect");
    this.#button.classList.toggle("primary", !isConnected);
    this.#field("room").readOnly = isConnected;
    const guest = this.#right.clientId;
    const host = this.#left.clientId;
    this.#invite.show({ guest, host, room: this.#field("room").value.trim() });
    this.#diagram.show(this.#stop(this.#left), this.#stop(this.#right));
    this.#ice.show(this.#here.find(({ iceServers }) => iceServers !== null)?.iceServers ?? null);
    this.#remember();
    this.#callWhenBothAreThere();
  }

  /**
   * Returns the state of a peer. One on another device counts as registered while it is connected to the one here.
   *
   * @param {Panel} panel
   */
  #stop(panel) {
    const { stop } = panel;
    if (this.#here.includes(panel)) return stop;
    const other = panel === this.#left ? this.#right.stop : this.#left.stop;
    return { ...stop, signaling: other.isOpen ? "registered" : "closed" };
  }

  #remember() {
    /** @param {Panel} panel */
    const of = ({ clientId, token, isConnected, peerId }) => ({
      clientId,
      token,
      isConnected,
      peerId,
    });
    /** @type {Memory} */
    const memory = {
      room: this.#field("room").value,
      isElsewhere: this.#isElsewhere,
      panels: { left: of(this.#left), right: of(this.#right) },
    };
    sessionStorage.setItem(MEMORY_KEY, JSON.stringify(memory));
  }

  get #button() {
    return /** @type {HTMLButtonElement} */ (this.#form.querySelector("button"));
  }

  /** @param {"room" | "where"} name */
  #field(name) {
    return /** @type {HTMLInputElement} */ (this.#form.elements.namedItem(name));
  }
}

/** Writes the addresses of this server into the footer. */
function showAddresses() {
  const { hostname, port, protocol, href } = new URL("./", location.href);
  const isSecure = protocol === "https:";
  /** @type {Record<string, string>} */
  const values = {
    ws: href.replace(/^http/, "ws").replace(/\/$/, ""),
    host: hostname,
    port: port || (isSecure ? "443" : "80"),
    path: new URL(href).pathname,
    secure: String(isSecure),
  };
  for (const element of document.querySelectorAll("[data-address]")) {
    const { address = "" } = /** @type {HTMLElement} */ (element).dataset;
    element.textContent = address.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }
}

/** @returns {Memory | null} */
function recall() {
  const navigation = performance.getEntriesByType("navigation")[0];
  const { type } = /** @type {PerformanceNavigationTiming} */ (navigation);
  const text = sessionStorage.getItem(MEMORY_KEY);
  return type === "reload" && text !== null ? JSON.parse(text) : null;
}

translatePage();
new Page().start();
