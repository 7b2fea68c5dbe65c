// @ts-check
/// <reference lib="dom" />

/** The picture on top: both peers, the server between them, and the direct way once there is one. */

/** How long a frame is seen on its way. */
const TRAVEL_MS = 450;

/**
 * @typedef {object} Stop
 * @property {string} clientId
 * @property {string} signaling
 * @property {string} connection
 * @property {boolean} isOpen whether data flows
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
    this.#find(".track span").textContent = DIRECT[direct] ?? "no direct connection yet";
    this.#announce(sentence(left, right, isDirect));
  }

  /**
   * Shows a frame on its way.
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
  connecting: "looking for a direct way",
  connected: "direct connection",
  disconnected: "interrupted",
  failed: "no way found, trying again",
};

/**
 * @param {Stop} left
 * @param {Stop} right
 * @param {boolean} isDirect
 */
function sentence(left, right, isDirect) {
  if (isDirect) return `${left.clientId} and ${right.clientId} are connected directly.`;
  const there = [left, right].filter(({ signaling }) => signaling === "registered");
  if (there.length === 0) return "Nobody is connected.";
  return `${there.map(({ clientId }) => clientId).join(" and ")} reached the server.`;
}
