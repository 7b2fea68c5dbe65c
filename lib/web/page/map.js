// @ts-check
/// <reference lib="dom" />

/** The diagram on top: both peers, the server between them, and the direct connection. */

import { t } from "./text.js";

/** Duration of the animation of a message. */
const TRAVEL_MS = 450;

/**
 * @typedef {object} Stop
 * @property {string} clientId
 * @property {string} signaling
 * @property {string} connection
 * @property {boolean} isOpen whether data can flow
 * @property {boolean} isAway whether the server cannot be reached
 */

export class Diagram {
  #root = /** @type {HTMLElement} */ (document.getElementById("map"));
  #announcer = /** @type {HTMLElement} */ (document.getElementById("announcer"));
  #announced = "";

  /**
   * @param {Stop} left
   * @param {Stop} right
   */
  show(left, right) {
    this.#find(".station.left b").textContent = left.clientId;
    this.#find(".station.right b").textContent = right.clientId;
    const { dataset } = this.#root;
    dataset.left = left.signaling;
    dataset.right = right.signaling;
    const isDirect = left.isOpen || right.isOpen;
    const direct = isDirect ? "connected" : left.connection;
    dataset.direct = direct;
    this.#find(".track span").textContent = t(DIRECT[direct] ?? "no direct connection yet");
    this.#announce(sentence(left, right, isDirect));
  }

  /**
   * Animates a message.
   *
   * @param {"left" | "right"} side
   * @param {"in" | "out"} direction
   */
  travel(side, direction) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const goesRight = (side === "left") === (direction === "out");
    const ends = [{ left: "0%", opacity: 1 }, { left: "100%", opacity: 1 }];
    const frames = goesRight ? ends : ends.reverse();
    this.#find(`.leg.${side} i`).animate(frames, { duration: TRAVEL_MS, easing: "ease-in-out" });
  }

  /** @param {string} text */
  #announce(text) {
    if (text === this.#announced) return;
    this.#announced = text;
    this.#root.setAttribute("aria-label", text);
    this.#announcer.textContent = text;
  }

  /** @param {string} selector */
  #find(selector) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(selector));
  }
}

/** @type {Readonly<Record<string, string>>} */
const DIRECT = {
  connecting: "looking for a direct path",
  connected: "direct connection",
  disconnected: "interrupted",
  failed: "no path found, trying again",
};

/**
 * @param {Stop} left
 * @param {Stop} right
 * @param {boolean} isDirect
 */
function sentence(left, right, isDirect) {
  const away = left.isAway || right.isAway ? t("The server cannot be reached.") : "";
  if (isDirect) {
    return t("{0} and {1} are connected directly.", left.clientId, right.clientId) + away;
  }
  if (away) return away;
  const there = [left, right].filter(({ signaling }) => signaling === "registered");
  const [first, second] = there.map(({ clientId }) => clientId);
  if (first === undefined) return t("No peer is connected.");
  return second === undefined
    ? t("{0} has reached the server.", first)
    : t("{0} and {1} have reached the server.", first, second);
}
