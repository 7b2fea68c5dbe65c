// @ts-check
/// <reference lib="dom" />

/** One peer of the page: its connection to the server, its connection to the other peer, and their chat. */

import { connect, resumeIn } from "../clients/client.js";
import { explain, isAboutToken } from "./trouble.js";
import { t } from "./text.js";
import { openPicture } from "./video.js";

const MAX_CHAT_LINES = 200;

/**
 * @typedef {object} Deps
 * @property {"left" | "right"} side
 * @property {string} label of the field for the ID
 * @property {string} colour
 * @property {() => string} partnerId the ID to call
 * @property {() => string} room
 * @property {() => void} onChange
 * @property {(message: { direction: "in" | "out", text: string }) => void} onMessage
 */

export class Panel {
  root;
  #deps;
  /** @type {import("../clients/client.js").Signaling | null} */
  #signaling = null;
  /** @type {string | null} */
  #peerId = null;
  /** @type {RTCPeerConnection | null} */
  #connection = null;
  /** @type {RTCDataChannel | null} */
  #channel = null;
  /** @type {import("./video.js").Picture | null} */
  #picture = null;
  #token = "";
  /** The server has not answered since the last registration. */
  #isAway = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #countdown;

  /** @param {Deps} deps */
  constructor(deps) {
    this.#deps = deps;
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("panel"));
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.root = /** @type {HTMLElement} */ (copy.firstElementChild);
    this.root.dataset.side = deps.side;
    this.root.setAttribute("aria-label", deps.label);
    this.#part("label").textContent = deps.label;
    this.#listen();
    this.#show();
  }

  get clientId() {
    return this.#input("id").value.trim();
  }

  set clientId(id) {
    this.#input("id").value = id;
  }

  get token() {
    return this.#token;
  }

  set token(token) {
    this.#token = token;
  }

  /** The other peer of the call, if there is one. */
  get peerId() {
    return this.#peerId;
  }

  get isConnected() {
    return this.#signaling !== null && this.#signaling.state !== "closed";
  }

  /** The servers that were handed out; null if it is not registered. */
  get iceServers() {
    return this.#signaling?.state === "registered" ? this.#signaling.iceServers : null;
  }

  /** The state that the diagram shows. */
  get stop() {
    const connection = this.#connection?.connectionState ?? "new";
    return {
      clientId: this.clientId,
      signaling: this.#signaling?.state ?? "closed",
      connection,
      // A channel stays open long after the other side has left.
      isOpen: this.#channel?.readyState === "open" && connection === "connected",
      isAway: this.#isAway,
    };
  }

  #listen() {
    this.#button("connect").addEventListener("click", () => {
      if (this.isConnected) this.disconnect();
      else this.connect();
    });
    this.#button("call").addEventListener("click", () => this.call(this.#deps.partnerId()));
    this.#button("hangup").addEventListener("click", () => this.#hangUp());
    this.#button("video").addEventListener("click", () => this.#toggleVideo());
    this.#input("id").addEventListener("input", () => this.#deps.onChange());
    this.#part("say").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    this.#part("token").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#token = this.#input("token").value.trim();
      this.#signaling?.close(); // the server closes a refused connection after a moment only
      this.connect();
    });
  }

  // The server.

  /** Registers, if the ID is valid. */
  connect() {
    if (this.isConnected || !this.#input("id").reportValidity()) return;
    const { clientId } = this;
    const room = this.#deps.room();
    const signaling = connect("./", {
      clientId,
      ...(room && { room }),
      ...(this.#token && { token: this.#token }),
      resume: resumeIn(sessionStorage, `signalbox ${JSON.stringify([room, clientId])}`),
    });
    this.#signaling = signaling;
    this.#complain("");
    signaling.on("frame", (message) => this.#deps.onMessage(message));
    signaling.on("statechange", (change) => this.#signalingChanged(change));
    signaling.on("error", (error) => this.#failed(error));
    signaling.on("call", ({ peerId, accept }) => this.#attend(peerId, accept()));
    signaling.on("ended", ({ peerId }) => {
      if (peerId === this.#peerId) this.#note(t("{0} has hung up.", peerId));
      this.#ended(peerId);
    });
    this.#show();
  }

  /** Gives the ID up. */
  disconnect() {
    this.#hangUp();
    this.#signaling?.close();
    this.#show();
  }

  /** @param {import("../clients/client.js").StateChange} change */
  #signalingChanged({ state, delayMs = 0 }) {
    clearInterval(this.#countdown);
    if (state === "registered") this.#complain("");
    if (state === "waiting") this.#countDown(Date.now() + delayMs);
    else if (state !== "connecting") this.#part("outage").textContent = "";
    this.#isAway = state === "waiting" || this.#isAway && state === "connecting";
    this.#show();
  }

  /** @param {number} untilMs */
  #countDown(untilMs) {
    const show = () => {
      const seconds = Math.max(0, Math.ceil((untilMs - Date.now()) / 1000));
      // No alert: a screen reader would read each second. The diagram announces the outage once.
      this.#part("outage").textContent =
        t("The server cannot be reached. Next attempt in {0} s.", seconds) +
        (this.stop.isOpen ? t(" The call goes on meanwhile.") : "");
    };
    this.#countdown = setInterval(show, 1000);
    show();
  }

  /** @param {import("../clients/client.js").SignalingError} error */
  #failed(error) {
    if (error.targetId !== undefined && error.targetId !== this.#peerId) return; // the call is over
    this.#complain(explain(error, this.clientId));
    if (error.code === "target_not_found" && !this.stop.isOpen) this.#hangUp();
    if (!isAboutToken(error.code)) return;
    this.#part("token").hidden = false;
    const isTypedElsewhere = document.activeElement instanceof HTMLInputElement;
    if (!isTypedElsewhere) this.#input("token").focus();
  }

  // The other peer.

  /** @param {string} peerId */
  call(peerId) {
    if (!this.#signaling || peerId === "") return;
    const connection = this.#signaling.peer(peerId);
    const isNew = connection !== this.#connection;
    this.#attend(peerId, connection);
    if (isNew) this.#useChannel(connection.createDataChannel("chat"));
  }

  /**
   * Makes a connection the one that the panel shows.
   *
   * @param {string} peerId
   * @param {RTCPeerConnection} connection
   */
  #attend(peerId, connection) {
    if (connection === this.#connection) return;
    if (this.#peerId !== null && this.#peerId !== peerId) this.#signaling?.hangUp(this.#peerId);
    this.#peerId = peerId;
    this.#connection = connection;
    this.#channel = null;
    this.#video("remote").srcObject = null;
    for (const type of ["connectionstatechange", "iceconnectionstatechange"]) {
      connection.addEventListener(type, () => this.#show());
    }
    connection.addEventListener("datachannel", ({ channel }) => this.#useChannel(channel));
    connection.addEventListener("track", ({ track }) => this.#showTrack(connection, track));
    if (this.#picture) this.#sendPicture(this.#picture);
    this.#show();
  }

  /** @param {RTCDataChannel} channel */
  #useChannel(channel) {
    this.#channel ??= channel;
    channel.addEventListener("open", () => {
      this.#channel = channel;
      this.#complain("");
      this.#show();
    });
    channel.addEventListener("close", () => this.#show());
    channel.addEventListener("message", ({ data }) => this.#write("theirs", String(data)));
    this.#show();
  }

  #hangUp() {
    if (this.#peerId === null) return;
    this.#signaling?.hangUp(this.#peerId);
    this.#ended(this.#peerId);
  }

  /** @param {string} peerId */
  #ended(peerId) {
    if (peerId !== this.#peerId) return;
    this.#peerId = null;
    this.#connection = null;
    this.#channel = null;
    this.#video("remote").srcObject = null;
    this.#stopPicture();
    this.#show();
  }

  // Chat and video.

  #say() {
    const input = this.#input("text");
    if (this.#channel?.readyState !== "open" || input.value === "") return;
    this.#channel.send(input.value);
    this.#write("ours", input.value);
    input.value = "";
  }

  /**
   * @param {"ours" | "theirs"} whose
   * @param {string} text
   */
  #write(whose, text) {
    const name = document.createElement("b");
    name.textContent = whose === "ours" ? t("You") : this.#peerId ?? "";
    this.#append(whose, name, ` ${text}`);
  }

  /**
   * Writes into the chat what has happened; its role makes screen readers announce it.
   *
   * @param {string} text
   */
  #note(text) {
    this.#append("note", text);
  }

  /**
   * @param {string} className
   * @param {(Node | string)[]} content
   */
  #append(className, ...content) {
    const chat = this.#part("chat");
    chat.querySelector(".empty")?.remove();
    const line = document.createElement("p");
    line.className = className;
    line.append(...content);
    chat.append(line);
    while (chat.childElementCount > MAX_CHAT_LINES) chat.firstElementChild?.remove();
    chat.scrollTop = chat.scrollHeight;
  }

  async #toggleVideo() {
    if (this.#picture) return this.#stopPicture();
    const connection = this.#connection;
    const picture = await openPicture(this.clientId, this.#deps.colour);
    if (connection !== this.#connection || this.#picture) return picture.stop();
    this.#picture = picture;
    this.#sendPicture(picture);
    this.#video("local").srcObject = picture.stream;
    this.#show();
  }

  /** @param {import("./video.js").Picture} picture */
  #sendPicture({ stream }) {
    for (const track of stream.getTracks()) this.#connection?.addTrack(track, stream);
  }

  #stopPicture() {
    const tracks = new Set(this.#picture?.stream.getTracks());
    this.#picture?.stop();
    this.#picture = null;
    this.#video("local").srcObject = null;
    for (const sender of this.#connection?.getSenders() ?? []) {
      if (sender.track && tracks.has(sender.track)) this.#connection?.removeTrack(sender);
    }
    this.#show();
  }

  /**
   * @param {RTCPeerConnection} connection
   * @param {MediaStreamTrack} track
   */
  #showTrack(connection, track) {
    const video = this.#video("remote");
    const stream = new MediaStream([track]);
    const show = () => {
      if (connection !== this.#connection) return;
      video.srcObject = stream;
      this.#show();
    };
    const hide = () => {
      if (video.srcObject === stream) video.srcObject = null;
      this.#show();
    };
    track.addEventListener("unmute", show);
    track.addEventListener("mute", hide); // removeTrack() at the other side mutes it
    track.addEventListener("ended", hide);
    show();
  }

  // Display.

  #show() {
    const signaling = this.#signaling?.state ?? "closed";
    const { isConnected } = this;
    const focused = document.activeElement;
    const channel = this.#channel?.readyState ?? "none";
    this.#state("signaling", signaling === "closed" ? "not connected" : signaling);
    this.#state("ice", this.#connection?.iceConnectionState ?? "none");
    this.#state("connection", this.#connection?.connectionState ?? "none");
    this.#state("channel", channel);
    this.root.dataset.signaling = signaling;
    this.#input("id").readOnly = isConnected;
    this.#button("connect").textContent = isConnected ? t("Disconnect") : t("Connect");
    this.#button("call").disabled = !isConnected || this.#connection !== null;
    this.#button("hangup").disabled = this.#connection === null;
    this.#button("video").disabled = this.#connection === null;
    this.#button("video").textContent = this.#picture ? t("Stop video") : t("Send video");
    this.#button("video").setAttribute("aria-pressed", String(this.#picture !== null));
    const send = /** @type {HTMLButtonElement} */ (this.#part("say").querySelector("button"));
    send.disabled = channel !== "open";
    if (focused instanceof HTMLButtonElement && focused.disabled) this.#focusAction();
    this.#showVideos();
    this.#deps.onChange();
  }

  /** Moves the focus from a button that has been disabled to the next useful one. */
  #focusAction() {
    const buttons = ["hangup", "call", "connect"].map((name) => this.#button(name));
    buttons.find(({ disabled }) => !disabled)?.focus();
  }

  #showVideos() {
    const [remote, local] = [this.#video("remote"), this.#video("local")];
    remote.hidden = remote.srcObject === null;
    local.hidden = local.srcObject === null;
    const screen = this.#part("screen");
    screen.hidden = remote.hidden && local.hidden;
    screen.classList.toggle("alone", remote.hidden);
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  #state(name, value) {
    const cell = /** @type {HTMLElement} */ (this.root.querySelector(`[data-state=${name}]`));
    if (cell.dataset.value === value) return;
    cell.textContent = t(value);
    cell.dataset.value = value;
  }

  /** @param {string} text the problem; empty if there is none */
  #complain(text) {
    this.#part("trouble").textContent = text;
    this.#part("token").hidden = true;
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.root.querySelector(`[data-part=${name}]`));
  }

  /** @param {"remote" | "local"} name */
  #video(name) {
    return /** @type {HTMLVideoElement} */ (this.#part(name));
  }

  /** @param {string} name */
  #input(name) {
    return /** @type {HTMLInputElement} */ (this.root.querySelector(`input[name=${name}]`));
  }

  /** @param {string} name */
  #button(name) {
    return /** @type {HTMLButtonElement} */ (this.root.querySelector(`button[name=${name}]`));
  }
}
