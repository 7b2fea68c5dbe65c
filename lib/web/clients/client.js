// @ts-check
/// <reference lib="dom" />

/**
 * The browser client of signalbox: one connection to the server that comes back by itself, and on top of it peer
 * connections that negotiate by themselves. An ES module without dependencies, for every current browser.
 *
 * @module
 */

/** Close codes after which another attempt would end in the same way. */
const FINAL_CLOSE_CODES = new Set([1003, 1008, 1009, 4409]);
/** Errors with which the server always closes; the close code may get lost on the way, and 1006 be seen in its place. */
const FINAL_ERROR_CODES = new Set([
  "not_registered",
  "register_timeout",
  "invalid_client_id",
  "id_taken",
  "replaced",
  "unauthorized",
  "forbidden",
  "message_too_large",
  "unsupported_data",
]);
const NORMAL_CLOSURE = 1000;
/** What a browser says of a connection that ended without a close frame, a refused upgrade included. */
const ABNORMAL_CLOSURE = 1006;
const SERVICE_RESTART = 1012;

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;
/** After a planned restart all clients come back; this is the time over which they spread. */
const RESTART_SPREAD_MS = 1000;
/** A connection that held for so long was a good one: the next loss begins with the first delay again. */
const GOOD_AFTER_MS = 10_000;
/** From the attempt to connect until the server says `registered`. */
const REGISTER_TIMEOUT_MS = 15_000;

/** `WebSocket.OPEN` */
const OPEN = 1;
const MAX_QUEUED_MESSAGES = 64;
const MAX_BUFFERED_BYTES = 1024 * 1024;
const MAX_PENDING_CALLS = 16;
const MAX_EARLY_CANDIDATES = 64;

/**
 * Connects to a signalbox server, and stays connected until {@link Signaling.close} or a final error.
 *
 * @param {string | URL} url of the server, `wss:` or `https:`, or relative to the page
 * @param {ConnectOptions} options
 * @returns {Signaling}
 * @throws {SyntaxError | TypeError} where `url` is not one
 */
export function connect(url, options) {
  return new Signaling(webSocketUrl(url), options, browserEnvironment());
}

/**
 * Keeps the resume secret where a reload of the page finds it again: `resume: resumeIn(sessionStorage, "my-call")`.
 *
 * @param {Storage} storage `sessionStorage`, which belongs to one tab; `localStorage` would give two tabs one ID
 * @param {string} key
 * @returns {ResumeStore}
 */
export function resumeIn(storage, key) {
  return {
    load: () => storage.getItem(key),
    save: (secret) => secret === null ? storage.removeItem(key) : storage.setItem(key, secret),
  };
}

/**
 * What is wrong, with a code for programs and a message for people. The codes are the server's,
 * and those of this module: `connect_failed`, `queue_full`, `closed`, `bad_frame`, `negotiation_failed`.
 */
export class SignalingError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ targetId?: string | undefined, cause?: unknown }} [more]
   */
  constructor(code, message, { targetId, cause } = {}) {
    super(message, { cause });
    this.name = "SignalingError";
    this.code = code;
    /** The client that the failed message was for, where there was one. */
    this.targetId = targetId;
  }
}

/** When to try again. Knows no clock and no dice: both are passed in. */
export class Backoff {
  #failures = 0;
  #random;

  /** @param {() => number} random from 0 up to 1 */
  constructor(random) {
    this.#random = random;
  }

  /** The connection had proved good: what comes next is a first failure. */
  reset() {
    this.#failures = 0;
  }

  /**
   * The time to wait after a close, in milliseconds; null where the server does not want to see us again.
   *
   * @param {number} closeCode
   * @returns {number | null}
   */
  next(closeCode) {
    if (FINAL_CLOSE_CODES.has(closeCode)) return null;
    if (closeCode === SERVICE_RESTART) return this.#random() * RESTART_SPREAD_MS;
    const ceilingMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures++);
    return ceilingMs * (0.5 + this.#random() / 2);
  }
}

/**
 * One client of the server. Its events are {@link SignalingEvents}; listen with {@link Signaling.on}.
 *
 * @extends {EventTarget}
 */
export class Signaling extends EventTarget {
  #url;
  #options;
  #environment;
  #backoff;
  #calls;
  /** @type {State} */
  #state = "connecting";
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Set<string>} */
  #peers = new Set();
  /** @type {RTCIceServer[]} */
  #iceServers = [];
  /** @type {string[]} */
  #queue = [];
  #resumed = false;
  /** @type {string | null} */
  #secret;
  #registeredAtMs = 0;
  /** The server has said why it does not want this connection. */
  #isRefused = false;
  #cancelTimer = () => {};
  #onOnline = () => this.#retryNow();

  /**
   * Use {@link connect}.
   *
   * @param {string} url
   * @param {ConnectOptions} options
   * @param {Environment} environment
   */
  constructor(url, options, environment) {
    super();
    this.#url = url;
    this.#options = options;
    this.#environment = environment;
    this.#backoff = new Backoff(environment.random);
    this.#secret = resumeStore(options)?.load() ?? null;
    this.#calls = new Calls(options.clientId, environment, {
      isUp: () => this.#state === "registered",
      send: (message, targetId) => this.send(message, targetId),
      tell: (type, detail) => this.#tell(type, detail),
    });
    environment.online.addEventListener("online", this.#onOnline);
    this.#connect();
  }

  /** The ID of this client. */
  get clientId() {
    return this.#options.clientId;
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /** The others in the room; always empty without `presence`. */
  get peers() {
    return /** @type {ReadonlySet<string>} */ (this.#peers);
  }

  /** What the server gave for RTCPeerConnection; {@link peer} uses them by itself. */
  get iceServers() {
    return /** @type {readonly RTCIceServer[]} */ (this.#iceServers);
  }

  /** Whether this registration took up the former one, with the messages that were kept meanwhile. */
  get resumed() {
    return this.#resumed;
  }

  /**
   * Sends a message, at once or as soon as the server can be reached. At most 64 messages wait for that.
   *
   * @param {object} message anything that JSON can say; `target_id` and `from` are set for you
   * @param {string} [targetId] without it, the message goes to all others in the room
   * @throws {SignalingError} `queue_full`, or `closed` where this object has ended
   */
  send(message, targetId) {
    if (this.#state === "closed") throw new SignalingError("closed", "Signaling has been closed.");
    const text = JSON.stringify({ ...message, target_id: targetId });
    const socket = this.#state === "registered" ? this.#socket : null;
    const isFull = socket?.readyState === OPEN
      ? socket.bufferedAmount > MAX_BUFFERED_BYTES
      : this.#queue.length >= MAX_QUEUED_MESSAGES;
    if (isFull) {
      throw new SignalingError("queue_full", "Too much waits for the connection already.", {
        targetId,
      });
    }
    if (socket?.readyState === OPEN) this.#transmit(text);
    else this.#queue.push(text);
  }

  /**
   * The connection to another client, made where there is none yet: add tracks or data channels, and the rest
   * follows by itself (offer, answer, candidates, glare, ICE restart). Takes a call of that client, if it is ringing.
   *
   * @param {string} peerId
   * @param {PeerOptions} [options]
   * @returns {RTCPeerConnection}
   */
  peer(peerId, options = {}) {
    return this.#calls.open(peerId, options);
  }

  /**
   * Ends the connection to another client, and tells it.
   *
   * @param {string} peerId
   */
  hangUp(peerId) {
    this.#calls.hangUp(peerId);
  }

  /** Gives the ID up, for good. Peer connections go on, but can negotiate nothing any more. */
  close() {
    if (this.#state === "closed") return;
    this.#detach()?.close(NORMAL_CLOSURE);
    this.#keepSecret(null);
    this.#end({ code: NORMAL_CLOSURE, reason: "" });
  }

  /**
   * Listens to an event, as addEventListener does, but hands over its `detail`.
   *
   * @template {keyof SignalingEvents} Type
   * @param {Type} type
   * @param {(detail: SignalingEvents[Type], event: CustomEvent<SignalingEvents[Type]>) => void} listener
   * @returns {() => void} ends it
   */
  on(type, listener) {
    /** @param {Event} event */
    const receive = (event) => {
      const custom = /** @type {CustomEvent<SignalingEvents[Type]>} */ (event);
      listener(custom.detail, custom);
    };
    this.addEventListener(type, receive);
    return () => this.removeEventListener(type, receive);
  }

  // The way to `registered`, and back to it.

  async #connect() {
    this.#setState("connecting");
    try {
      const { token } = this.#options;
      const current = typeof token === "function" ? await token() : token;
      if (this.#state === "connecting") this.#open(current);
    } catch (cause) {
      this.#fail("connect_failed", `Cannot connect: ${messageOf(cause)}`, { cause });
      this.#lost({ code: ABNORMAL_CLOSURE, reason: "connect_failed" });
    }
  }

  /** @param {string | undefined} token */
  #open(token) {
    const { clientId, room, presence } = this.#options;
    const frame = { type: "register", client_id: clientId, room, presence, token };
    const resume = resumeStore(this.#options) ? this.#secret ?? true : undefined;
    const socket = this.#environment.openSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => this.#transmit(JSON.stringify({ ...frame, resume }));
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = (event) => this.#lost(event);
    this.#cancelTimer = this.#environment.after(REGISTER_TIMEOUT_MS, () => {
      this.#detach()?.close();
      this.#lost({ code: ABNORMAL_CLOSURE, reason: "timeout" });
    });
  }

  /** Forgets the socket: whatever comes of it is of no interest any more. */
  #detach() {
    this.#cancelTimer();
    const socket = this.#socket;
    this.#socket = null;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
    return socket;
  }

  /** @param {{ code: number, reason: string }} close */
  #lost({ code, reason }) {
    this.#detach();
    const heldMs = this.#environment.now() - this.#registeredAtMs;
    if (this.#state === "registered" && heldMs >= GOOD_AFTER_MS) this.#backoff.reset();
    const delayMs = this.#isRefused ? null : this.#backoff.next(code);
    if (delayMs === null) return this.#end({ code, reason });
    this.#setState("waiting", { code, reason, delayMs });
    this.#cancelTimer = this.#environment.after(delayMs, () => this.#connect());
  }

  /** The network is back: no reason to wait any longer. */
  #retryNow() {
    if (this.#state !== "waiting") return;
    this.#cancelTimer();
    this.#connect();
  }

  /** @param {{ code: number, reason: string }} close */
  #end(close) {
    this.#environment.online.removeEventListener("online", this.#onOnline);
    this.#queue.length = 0;
    this.#setState("closed", close);
  }

  /**
   * @param {State} state
   * @param {Partial<StateChange>} [more]
   */
  #setState(state, more) {
    this.#state = state;
    this.#tell("statechange", { state, ...more });
  }

  // What comes from the server.

  /** @param {unknown} data */
  #receive(data) {
    this.#tell("frame", { direction: "in", text: String(data) });
    const message = parseFrame(data);
    if (message === null) {
      this.#fail("bad_frame", "The server sent something that is not a JSON object.");
    } else if (typeof message.from === "string") {
      const goesOn = this.#tell("message", /** @type {PeerMessage} */ (message));
      if (goesOn) this.#calls.receive(/** @type {PeerMessage} */ (message));
    } else {
      this.#receiveFromServer(message);
    }
  }

  /** @param {Record<string, any>} message */
  #receiveFromServer(message) {
    switch (message.type) {
      case "registered":
        return this.#registered(message);
      case "error":
        this.#isRefused ||= FINAL_ERROR_CODES.has(message.code);
        return this.#fail(message.code, message.message, { targetId: message.target_id });
      case "peer_joined":
        return this.#joined(message.client_id);
      case "peer_left":
        return this.#left(message.client_id);
    }
  }

  /** @param {Record<string, any>} answer */
  #registered({ peers = [], ice_servers: iceServers = [], resume = null, resumed = false }) {
    this.#cancelTimer();
    this.#registeredAtMs = this.#environment.now();
    this.#iceServers = iceServers;
    this.#resumed = resumed;
    this.#keepSecret(resume);
    for (const text of this.#queue.splice(0)) this.#transmit(text);
    this.#setState("registered");
    this.#comparePeers(new Set(peers));
    this.#calls.signalingIsUp(iceServers);
  }

  /**
   * Tells who came and who left while there was no connection.
   *
   * @param {Set<string>} present
   */
  #comparePeers(present) {
    for (const id of this.#peers) if (!present.has(id)) this.#left(id);
    for (const id of present) if (!this.#peers.has(id)) this.#joined(id);
  }

  /** @param {string} clientId */
  #joined(clientId) {
    this.#peers.add(clientId);
    this.#tell("joined", { clientId });
    this.#calls.peerJoined(clientId);
  }

  /** @param {string} clientId */
  #left(clientId) {
    if (this.#peers.delete(clientId)) this.#tell("left", { clientId });
  }

  // Small things.

  /** @param {string} text */
  #transmit(text) {
    this.#socket?.send(text);
    this.#tell("frame", { direction: "out", text });
  }

  /** @param {string | null} secret */
  #keepSecret(secret) {
    this.#secret = secret;
    resumeStore(this.#options)?.save(secret);
  }

  /**
   * @param {string} code
   * @param {string} message
   * @param {{ targetId?: string, cause?: unknown }} [more]
   */
  #fail(code, message, more) {
    this.#tell("error", new SignalingError(code, message, more));
  }

  /**
   * @template {keyof SignalingEvents} Type
   * @param {Type} type
   * @param {SignalingEvents[Type]} detail
   * @returns {boolean} false where a listener prevented the default
   */
  #tell(type, detail) {
    return this.dispatchEvent(new CustomEvent(type, { detail, cancelable: true }));
  }
}

/**
 * Who is connected to us, and who is calling. A page that is loaded again is a new partner under an old ID, and what
 * was meant for its predecessor may still be on the way. So offers, answers, candidates and byes carry `session`,
 * which names the sender's connection, and `peer_session`, the receiver's, once it is known. Partners without them
 * (any client that speaks the core protocol) are told apart by the DTLS fingerprint in their SDP.
 */
class Calls {
  #clientId;
  #environment;
  #line;
  /** @type {RTCIceServer[]} */
  #iceServers = [];
  /** @type {Map<string, Negotiation>} */
  #connected = new Map();
  /** @type {Map<string, Ringing>} */
  #ringing = new Map();

  /**
   * @param {string} clientId
   * @param {Environment} environment
   * @param {Line} line
   */
  constructor(clientId, environment, line) {
    this.#clientId = clientId;
    this.#environment = environment;
    this.#line = line;
  }

  /**
   * @param {string} peerId
   * @param {PeerOptions} options
   */
  open(peerId, { polite = this.#clientId < peerId, configuration = {} }) {
    const existing = this.#find(peerId);
    if (existing) return existing.connection;
    const negotiation = new Negotiation(peerId, {
      polite,
      configuration,
      line: this.#line,
      connection: this.#environment.createConnection({
        iceServers: this.#iceServers,
        ...configuration,
      }),
    });
    this.#connected.set(peerId, negotiation);
    const ringing = this.#ringing.get(peerId);
    this.#ringing.delete(peerId);
    for (const message of ringing?.messages ?? []) negotiation.receive(message);
    return negotiation.connection;
  }

  /** @param {string} peerId */
  hangUp(peerId) {
    const negotiation = this.#find(peerId);
    const ringing = this.#ringing.get(peerId);
    if (negotiation) this.#sayBye(peerId, negotiation.peerSession, negotiation.session);
    else if (ringing) this.#sayBye(peerId, ringing.session);
    this.#forget(peerId);
  }

  /** @param {PeerMessage} message */
  receive(message) {
    if (!isNegotiation(message)) return;
    const negotiation = this.#find(message.from);
    if (message.type === "bye") return this.#bye(message, negotiation);
    const meantFor = typeof message.peer_session === "string" ? message.peer_session : null;
    if (meantFor !== null && meantFor !== negotiation?.session) {
      // It was for an earlier connection of ours, of which nobody here knows.
      if (message.type === "offer") this.#sayBye(message.from, sessionOf(message));
    } else if (negotiation?.isWith(message)) {
      negotiation.receive(message);
    } else if (!negotiation || message.type === "offer") {
      this.#ring(message, negotiation);
    }
  }

  /**
   * Keeps what a stranger sends until somebody takes the call; its first offer rings.
   *
   * @param {PeerMessage} message
   * @param {Negotiation | undefined} former what its predecessor was connected to
   */
  #ring(message, former) {
    const isOffer = message.type === "offer";
    const mark = markOf(message);
    let ringing = this.#ringing.get(message.from);
    if (!ringing || isOffer && ringing.hasRung && ringing.mark !== mark) {
      ringing = this.#expect(message.from);
    }
    if (ringing.messages.length < MAX_EARLY_CANDIDATES) ringing.messages.push(message);
    if (!isOffer || ringing.hasRung) return;
    ringing.hasRung = true;
    ringing.mark = mark;
    ringing.session = sessionOf(message);
    former?.connection.close();
    this.#tellOfCall(message.from, former?.connection ?? null);
  }

  /** @param {string} peerId */
  #expect(peerId) {
    /** @type {Ringing} */
    const ringing = { hasRung: false, mark: undefined, session: undefined, messages: [] };
    this.#ringing.delete(peerId); // so that it moves to the end
    this.#ringing.set(peerId, ringing);
    const [oldest = peerId] = this.#ringing.keys();
    if (this.#ringing.size > MAX_PENDING_CALLS) this.#ringing.delete(oldest);
    return ringing;
  }

  /**
   * @param {string} peerId
   * @param {RTCPeerConnection | null} replaces
   */
  #tellOfCall(peerId, replaces) {
    this.#line.tell("call", {
      peerId,
      replaces,
      accept: (options = {}) => this.open(peerId, options),
      refuse: () => this.hangUp(peerId),
    });
  }

  /**
   * @param {PeerMessage} message
   * @param {Negotiation | undefined} negotiation
   */
  #bye(message, negotiation) {
    const meantFor = message.peer_session;
    if (negotiation && meantFor !== undefined && meantFor !== negotiation.session) return;
    this.#forget(message.from);
    this.#line.tell("ended", { peerId: message.from, connection: negotiation?.connection ?? null });
  }

  /**
   * @param {string} peerId
   * @param {string | undefined} peerSession
   * @param {string} [session]
   */
  #sayBye(peerId, peerSession, session) {
    if (this.#line.isUp()) {
      this.#line.send({ type: "bye", session, peer_session: peerSession }, peerId);
    }
  }

  /** @param {string} peerId */
  #forget(peerId) {
    this.#connected.get(peerId)?.connection.close();
    this.#connected.delete(peerId);
    this.#ringing.delete(peerId);
  }

  /** @param {string} peerId */
  #find(peerId) {
    const negotiation = this.#connected.get(peerId);
    if (!negotiation?.isClosed) return negotiation;
    this.#connected.delete(peerId); // the page closed it, and did not hang up
    return undefined;
  }

  /** @param {RTCIceServer[]} iceServers that hold from now on */
  signalingIsUp(iceServers) {
    this.#iceServers = iceServers;
    for (const negotiation of this.#connected.values()) negotiation.signalingIsUp(iceServers);
  }

  /** @param {string} peerId */
  peerJoined(peerId) {
    this.#find(peerId)?.repeatOffer();
  }
}

/**
 * One peer connection, negotiated as the W3C's "perfect negotiation" has it (WebRTC 1.0, section 10.7): either side
 * may change anything at any time, and where two offers cross, the polite side takes its own back.
 */
class Negotiation {
  /** Names this connection in what we send. */
  session = randomName();
  /**
   * Names the partner's, as soon as that is known; a client of the core protocol has no name for it.
   *
   * @type {string | undefined}
   */
  peerSession = undefined;
  connection;
  /** @type {string | undefined} */
  #peerMark = undefined;
  #peerId;
  #polite;
  #configuration;
  #line;
  #makingOffer = false;
  #ignoringOffer = false;
  #settingAnswer = false;
  /** A description was made while it could not be sent. */
  #unsent = false;
  /** An offer was asked for while it could not be sent. */
  #offerDue = false;
  #hasRemote = false;
  /** @type {RTCIceCandidateInit[]} */
  #early = [];

  /**
   * @param {string} peerId
   * @param {{ connection: RTCPeerConnection, polite: boolean, configuration: RTCConfiguration, line: Line }} parts
   */
  constructor(peerId, { connection, polite, configuration, line }) {
    this.#peerId = peerId;
    this.#polite = polite;
    this.#configuration = configuration;
    this.#line = line;
    this.connection = connection;
    connection.addEventListener("negotiationneeded", () => this.#offer());
    connection.addEventListener("icecandidate", ({ candidate }) => this.#sendCandidate(candidate));
    connection.addEventListener("iceconnectionstatechange", () => {
      if (connection.iceConnectionState === "failed") connection.restartIce();
    });
  }

  get isClosed() {
    return this.connection.signalingState === "closed";
  }

  /**
   * Whether a message is of the partner that we know, or nothing says that it is not.
   *
   * @param {PeerMessage} message
   */
  isWith(message) {
    const mark = markOf(message);
    return mark === undefined || this.#peerMark === undefined || mark === this.#peerMark;
  }

  /**
   * An offer, answer or candidate has come.
   *
   * @param {PeerMessage} message
   */
  async receive(message) {
    this.peerSession ??= sessionOf(message);
    this.#peerMark ??= markOf(message);
    try {
      if (message.type === "candidate") await this.#addCandidate(candidateOf(message));
      else await this.#setRemote({ type: message.type, sdp: message.sdp });
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Signaling is there, for the first time or again: says what could not be said, and looks for a new way where
   * the old one is lost.
   *
   * @param {RTCIceServer[]} iceServers
   */
  signalingIsUp(iceServers) {
    if (this.isClosed) return;
    const { connection } = this;
    try {
      connection.setConfiguration({ iceServers, ...this.#configuration });
    } catch (error) {
      this.#fail(error); // the old servers go on to be used
    }
    if (this.#offerDue) this.#offer();
    else if (this.#unsent || connection.signalingState === "have-local-offer") {
      this.#sendDescription();
    } else if (this.#hasRemote && connection.connectionState !== "connected") {
      connection.restartIce();
    }
  }

  /** The partner has come: it may not have got our offer. */
  repeatOffer() {
    if (this.connection.signalingState === "have-local-offer") this.#sendDescription();
  }

  async #offer() {
    this.#offerDue = !this.#line.isUp();
    // In another state than stable, the browser asks again once it is stable.
    if (this.#offerDue || this.connection.signalingState !== "stable") return;
    try {
      this.#makingOffer = true;
      await this.connection.setLocalDescription();
      this.#sendDescription();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#makingOffer = false;
    }
  }

  /** @param {{ type: "offer" | "answer", sdp: string }} description */
  async #setRemote(description) {
    const { connection } = this;
    const isOffer = description.type === "offer";
    const awaitsAnswer = connection.signalingState === "have-local-offer" && !this.#settingAnswer;
    if (!isOffer && !awaitsAnswer) return; // an answer to an offer that was repeated
    const isReady = connection.signalingState === "stable" || this.#settingAnswer;
    const isCollision = isOffer && (this.#makingOffer || !isReady);
    this.#ignoringOffer = isCollision && !this.#polite;
    if (this.#ignoringOffer) {
      this.#early.length = 0; // they were for this offer
      return;
    }
    this.#settingAnswer = !isOffer;
    try {
      const isSet = connection.setRemoteDescription(description);
      this.#addEarlyCandidates();
      await isSet;
    } finally {
      this.#settingAnswer = false;
    }
    if (!isOffer) return;
    await connection.setLocalDescription();
    this.#sendDescription();
  }

  /** @param {RTCIceCandidateInit | null} candidate */
  async #addCandidate(candidate) {
    if (candidate === null || this.isClosed) return;
    if (!this.#hasRemote) {
      const isWanted = !this.#ignoringOffer && this.#early.length < MAX_EARLY_CANDIDATES;
      if (isWanted) this.#early.push(candidate);
      return;
    }
    try {
      await this.connection.addIceCandidate(candidate);
    } catch (error) {
      if (!this.#ignoringOffer) throw error;
    }
  }

  /** Those that came before the description that they belong to; the browser lets them wait until it is set. */
  #addEarlyCandidates() {
    this.#hasRemote = true;
    for (const candidate of this.#early.splice(0)) {
      this.#addCandidate(candidate).catch((error) => this.#fail(error));
    }
  }

  #sendDescription() {
    const description = this.connection.localDescription;
    this.#unsent = description !== null && !this.#line.isUp();
    if (description === null || this.#unsent) return;
    this.#send({ type: description.type, sdp: description.sdp });
  }

  /** @param {RTCIceCandidate | null} candidate */
  #sendCandidate(candidate) {
    // What cannot be sent now is in the description that is sent again, or is found anew by an ICE restart.
    if (!candidate?.candidate || !this.#line.isUp()) return;
    this.#send({ type: "candidate", ...candidate.toJSON() });
  }

  /** @param {object} message */
  #send(message) {
    try {
      const names = { session: this.session, peer_session: this.peerSession };
      this.#line.send({ ...message, ...names }, this.#peerId);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} cause */
  #fail(cause) {
    if (this.isClosed) return;
    const message = `The negotiation with ${this.#peerId} failed: ${messageOf(cause)}`;
    const more = { targetId: this.#peerId, cause };
    this.#line.tell("error", new SignalingError("negotiation_failed", message, more));
  }
}

/** @param {PeerMessage} message */
function isNegotiation({ type, sdp }) {
  if (type === "offer" || type === "answer") return typeof sdp === "string";
  return type === "candidate" || type === "bye";
}

/**
 * @param {PeerMessage} message
 * @returns {string | undefined}
 */
function sessionOf({ session }) {
  return typeof session === "string" ? session : undefined;
}

/**
 * What tells one connection of a client from its next one; not every message has it.
 *
 * @param {PeerMessage} message
 * @returns {string | undefined}
 */
function markOf(message) {
  const { sdp } = message;
  const fingerprint = typeof sdp === "string" ? /^a=fingerprint:(.+?)\s*$/m.exec(sdp) : null;
  return sessionOf(message) ?? fingerprint?.[1];
}

/**
 * The candidate of a message, whose members stand in the message itself or in its `candidate`.
 *
 * @param {PeerMessage} message
 * @returns {RTCIceCandidateInit | null} null for "no more candidates", which nobody needs to be told
 */
function candidateOf(message) {
  const { candidate, sdpMid, sdpMLineIndex, usernameFragment } =
    typeof message.candidate === "object" && message.candidate !== null
      ? message.candidate
      : message;
  if (typeof candidate !== "string" || candidate === "") return null;
  if ((sdpMid ?? sdpMLineIndex ?? null) === null) return { candidate, sdpMLineIndex: 0 };
  return { candidate, sdpMid, sdpMLineIndex, usernameFragment };
}

/**
 * @param {unknown} data
 * @returns {Record<string, any> | null} null where it is not a JSON object
 */
function parseFrame(data) {
  try {
    const value = JSON.parse(String(data));
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** @param {ConnectOptions} options */
function resumeStore({ resume }) {
  if (resume === true) return { load: () => null, save: () => {} };
  return resume || null;
}

/** @param {string | URL} url */
function webSocketUrl(url) {
  const absolute = new URL(url, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^http/, "ws");
  return absolute.href;
}

/** A name that need not be secret, only different. */
function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @returns {Environment} */
function browserEnvironment() {
  return {
    openSocket: (url) => new WebSocket(url),
    createConnection: (configuration) => new RTCPeerConnection(configuration),
    online: globalThis,
    random: Math.random,
    now: () => performance.now(),
    after(delayMs, callback) {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    },
  };
}

/**
 * Whom to register as, and what to ask for.
 *
 * @typedef {object} ConnectOptions
 * @property {string} clientId
 * @property {string} [room] a namespace of its own; without it, the default room
 * @property {boolean} [presence] tell who is in the room, comes and leaves
 * @property {boolean | ResumeStore} [resume] keep the ID, and what is sent to it, over a lost connection; with a
 * store, over a reload too
 * @property {string | (() => string | Promise<string>)} [token] or what gets one, before each attempt to connect
 */

/**
 * Where a resume secret is kept; see {@link resumeIn}.
 *
 * @typedef {object} ResumeStore
 * @property {() => string | null} load
 * @property {(secret: string | null) => void} save
 */

/**
 * @typedef {object} PeerOptions
 * @property {boolean} [polite] whether to give way where two offers cross; by default the lower of both IDs does
 * @property {RTCConfiguration} [configuration] over what the server gave
 */

/**
 * `connecting`: on the way to `registered`; `waiting`: trying again later; `closed`: for good.
 *
 * @typedef {"connecting" | "registered" | "waiting" | "closed"} State
 */

/**
 * @typedef {object} StateChange
 * @property {State} state
 * @property {number} [code] of the close that led here
 * @property {string} [reason] of that close; the server's are its error codes
 * @property {number} [delayMs] until the next attempt
 */

/**
 * A message of another client.
 *
 * @typedef {Record<string, any> & { from: string }} PeerMessage
 */

/**
 * A call to take or to refuse; it may ring as long as you like. `replaces` is the former connection to the same
 * client, which has begun anew (its page was loaded again, most likely); it is closed already.
 *
 * @typedef {object} Call
 * @property {string} peerId
 * @property {RTCPeerConnection | null} replaces
 * @property {(options?: PeerOptions) => RTCPeerConnection} accept
 * @property {() => void} refuse
 */

/**
 * The events of {@link Signaling}, and their `detail`. `message` comes for every message of another client, those of
 * the negotiation included; `preventDefault()` keeps one from the peer connections. `frame` is for looking on.
 *
 * @typedef {object} SignalingEvents
 * @property {StateChange} statechange
 * @property {SignalingError} error
 * @property {PeerMessage} message
 * @property {{ clientId: string }} joined
 * @property {{ clientId: string }} left
 * @property {Call} call
 * @property {{ peerId: string, connection: RTCPeerConnection | null }} ended the other side has hung up
 * @property {{ direction: "in" | "out", text: string }} frame
 */

/**
 * What the client needs of a browser, passed in for the tests.
 *
 * @typedef {object} Environment
 * @property {(url: string) => WebSocket} openSocket
 * @property {(configuration: RTCConfiguration) => RTCPeerConnection} createConnection
 * @property {EventTarget} online tells `online`
 * @property {() => number} random
 * @property {() => number} now in milliseconds
 * @property {(delayMs: number, callback: () => void) => () => void} after what it returns cancels it
 */

/**
 * What peer connections need of signaling.
 *
 * @typedef {object} Line
 * @property {() => boolean} isUp
 * @property {(message: object, targetId: string) => void} send
 * @property {<Type extends keyof SignalingEvents>(type: Type, detail: SignalingEvents[Type]) => void} tell
 */

/**
 * What a caller has sent before its call was taken.
 *
 * @typedef {object} Ringing
 * @property {boolean} hasRung
 * @property {string | undefined} mark
 * @property {string | undefined} session
 * @property {PeerMessage[]} messages
 */
