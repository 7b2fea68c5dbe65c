// @ts-check
/// <reference lib="dom" />

/** The check of the ICE servers: gathers candidates with each of them, and shows which ones answer. */

import { t } from "./text.js";

/** Time for candidates. Chromium reports a server that does not answer after 9.5 s. */
const TIMEOUT_MS = 12_000;

/** STUN and TURN error codes of wrong credentials (RFC 8489 section 14.8). */
const CREDENTIAL_ERRORS = [401, 438];
/** The code that browsers report for a server that cannot be reached (W3C WebRTC section 4.8.2). */
const UNREACHABLE = 701;

/** @typedef {import("../clients/client.js").IceServer} IceServer */

/**
 * The candidates that were gathered with one server.
 *
 * @typedef {object} Gathered
 * @property {RTCIceCandidate[]} candidates
 * @property {{ code: number, text: string } | null} error the first that was reported
 */

/** @typedef {{ mark: "✓" | "✗" | "–", text: string }} Outcome */

export class IceCheck {
  #root = /** @type {HTMLElement} */ (document.getElementById("ice"));
  #button = /** @type {HTMLButtonElement} */ (this.#root.querySelector("button"));
  #list = /** @type {HTMLElement} */ (this.#root.querySelector("ol"));
  /** @type {readonly IceServer[]} */
  #servers = [];
  #isChecking = false;

  constructor() {
    this.#button.addEventListener("click", () => this.#check());
  }

  /**
   * Offers the check once a peer has registered.
   *
   * @param {readonly IceServer[] | null} servers null if no peer is registered
   */
  show(servers) {
    this.#servers = servers ?? [];
    this.#button.disabled = servers === null || this.#isChecking;
  }

  async #check() {
    this.#button.disabled = this.#isChecking = true;
    this.#list.replaceChildren();
    const servers = this.#servers.flatMap(({ urls, ...rest }) =>
      [urls].flat().map((url) => ({ urls: url, ...rest }))
    );
    const rows = [this.#run("host", t("this device"), null, describeHost)];
    for (const server of servers) {
      rows.push(
        /^turns?:/.test(server.urls)
          ? this.#run("relay", server.urls, server, describeRelay)
          : this.#run("srflx", server.urls, server, describeReflexive),
      );
    }
    await Promise.all(rows);
    if (servers.length === 0) {
      this.#row("–", "", "").text.textContent = t("The server hands out none (--ice-server).");
    }
    this.#button.disabled = this.#isChecking = false;
  }

  /**
   * Checks one server, and shows the outcome in a row.
   *
   * @param {string} kind
   * @param {string} name
   * @param {IceServer | null} server
   * @param {(gathered: Gathered) => Outcome} describe
   */
  async #run(kind, name, server, describe) {
    const row = this.#row("…", kind, name);
    const policy = kind === "relay" ? "relay" : "all";
    const { mark, text } = await gather(server, policy).then(describe, (error) => {
      return /** @type {Outcome} */ ({ mark: "✗", text: String(error.message) });
    });
    row.item.dataset.mark = mark;
    row.mark.textContent = mark;
    row.text.textContent = text;
  }

  /**
   * @param {string} sign
   * @param {string} kind
   * @param {string} name
   */
  #row(sign, kind, name) {
    const item = document.createElement("li");
    /** @type {(tag: string, content: string) => HTMLElement} */
    const add = (tag, content) => {
      const element = document.createElement(tag);
      element.textContent = content;
      item.append(element);
      return element;
    };
    const mark = add("b", sign);
    add("span", kind);
    add("code", name);
    const text = add("span", kind === "" ? "" : t("checking"));
    this.#list.append(item);
    return { item, mark, text };
  }
}

/**
 * Gathers candidates with one server, or without any.
 *
 * @param {IceServer | null} server
 * @param {RTCIceTransportPolicy} iceTransportPolicy
 * @returns {Promise<Gathered>}
 */
async function gather(server, iceTransportPolicy) {
  const iceServers = server === null ? [] : [server];
  const connection = new RTCPeerConnection({ iceServers, iceTransportPolicy });
  /** @type {RTCIceCandidate[]} */
  const candidates = [];
  /** @type {Gathered["error"]} */
  let error = null;
  try {
    const isComplete = new Promise((resolve) => {
      setTimeout(resolve, TIMEOUT_MS);
      connection.onicecandidate = ({ candidate }) => {
        if (candidate === null) resolve(null);
        else if (candidate.candidate !== "") candidates.push(candidate);
        if (candidate?.type === "relay") resolve(null);
      };
    });
    connection.onicecandidateerror = ({ errorCode: code, errorText: text }) => {
      error ??= { code, text };
    };
    connection.createDataChannel("check");
    await connection.setLocalDescription();
    await isComplete;
    return { candidates, error };
  } finally {
    connection.close();
  }
}

/**
 * @param {Gathered} gathered
 * @returns {Outcome}
 */
function describeHost({ candidates }) {
  const { size } = new Set(candidates.map(({ address }) => address));
  if (size === 0) return { mark: "✗", text: t("The browser gives no address of its own away.") };
  return { mark: "✓", text: t("Own addresses: {0}.", size) };
}

/**
 * @param {Gathered} gathered
 * @returns {Outcome}
 */
function describeReflexive({ candidates, error }) {
  const found = candidates.find(({ type }) => type === "srflx");
  if (found) {
    return { mark: "✓", text: t("Answers: it sees this device as {0}.", found.address ?? "") };
  }
  if (error) return { mark: "✗", text: describeError(error) };
  // A candidate that equals a host candidate is left out (RFC 8445 section 5.1.3).
  return { mark: "–", text: t("No other address: there is no NAT, or no answer.") };
}

/**
 * @param {Gathered} gathered
 * @returns {Outcome}
 */
function describeRelay({ candidates, error }) {
  const found = candidates.find(({ type }) => type === "relay");
  if (found) return { mark: "✓", text: t("Answers: it relays at {0}.", found.address ?? "") };
  return { mark: "✗", text: describeError(error ?? { code: UNREACHABLE, text: "" }) };
}

/** @param {{ code: number, text: string }} error */
function describeError({ code, text }) {
  if (CREDENTIAL_ERRORS.includes(code)) {
    return t(
      "Refuses the credentials ({0}): --turn-secret is another one there, or the clocks differ.",
      code,
    );
  }
  if (code === UNREACHABLE) {
    return t("Does not answer: is it running, and are its ports open, UDP and TCP?");
  }
  return `${code} ${text}`;
}
