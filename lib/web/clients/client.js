// @ts-check
/// <reference lib="dom" />

/**
 * The JavaScript client of signalbox: one connection to the server that comes back by itself. On top of it are peer
 * connections that negotiate by themselves. An ES module without dependencies, for browsers, workers, Deno, Bun and
 * Node 20 and newer.
 *
 * @module
 */

/** Close codes after which the client does not connect again. */
const FINAL_CLOSE_CODES = new Set([1008, 1009, 4409]);
/** Errors after which the server closes with one of these codes. A code that gets lost is seen as 1006. */
const FINAL_ERROR_CODES = new Set([
  "not_registered",
  "register_timeout",
  "invalid_client_id",
  "id_taken",
  "replaced",
  "unauthorized",
  "forbidden",
  "message_too_large",
]);
const NORMAL_CLOSURE = 1000;
/** The code that a browser reports for a connection without a close frame, and for a refused upgrade. */
const ABNORMAL_CLOSURE = 1006;
const SERVICE_RESTART = 1012;

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;
/** Time over which clients spread their reconnects after a planned restart. */
const RESTART_SPREAD_MS = 1000;
/** Age of a connection from which its loss counts as the first failure. */
const STABLE_AFTER_MS = 10_000;
/** Time from the attempt to connect until `registered`. */
const REGISTER_TIMEOUT_MS = 15_000;
const PING_TIMEOUT_MS = 5000;
/** Upper bound of the wait for a first ICE candidate before an offer is taken back. */
const FIRST_CANDIDATE_TIMEOUT_MS = 1000;
/** Number of failed attempts in a row after which the client looks for the reason. */
const ATTEMPTS_BEFORE_DIAGNOSIS = 3;

/** `WebSocket.OPEN` */
const OPEN = 1;
const MAX_QUEUED_MESSAGES = 64;
const MAX_BUFFERED_BYTES = 1024 * 1024;
const MAX_PENDING_CALLS = 16;
/** Upper bound of the messages of one call that wait for accept(), and of candidates that wait for an offer. */
const MAX_EARLY_MESSAGES = 64;

/**
 * Connects to a signalbox server, and stays connected until {@link Signaling.close} or a final error.
 *
 * @param {string | URL} url of the server, `wss:` or `https:`, or relative to the page
 * @param {ConnectOptions} options
 * @returns {Signaling}
 * @throws {SyntaxError | TypeError} if `url` is not a URL
 */
export function connect(url, options) {
  return new Signaling(webSocketUrl(url), options, platformEnvironment(options));
}

/**
 * Stores the resume secret in a storage, so that it survives a reload: `resume: resumeIn(sessionStorage, "my-call")`.
 *
 * @param {KeyValueStorage} storage `sessionStorage` belongs to one tab; with `localStorage` two tabs fight for one ID
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
 * Error with a code for programs and a message for people. The codes are the server's and those of this module:
 * `connect_failed`, `queue_full`, `closed`, `ping_failed`, `bad_frame`, `negotiation_failed`.
 */
export class SignalingError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ targetId?: string | undefined, cause?: unknown }} [more]
   */
  constructor(code, message, { targetId, cause } = {}) {
    super(message, { cause });
    /** @type {string} */
    this.name = "SignalingError";
    this.code = code;
    /**
     * The client that the failed message was for, if there was one.
     *
     * @type {string | undefined}
     */
    this.targetId = targetId;
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
  #calls;
  /** @type {ResumeStore | null} */
  #store;
  /** @type {State} */
  #state = "connecting";
  /** @type {WebSocketLike | null} */
  #socket = null;
  /** @type {Set<string>} */
  #peers = new Set();
  /** @type {IceServer[]} */
  #iceServers = [];
  /** @type {string[]} */
  #queue = [];
  /** @type {Map<string, () => void>} pings without an answer */
  #pings = new Map();
  #resumed = false;
  /** @type {string | null} */
  #secret;
  #registeredAtMs = 0;
  #failures = 0;
  /** Attempts in a row that the server did not answer. */
  #unanswered = 0;
  /** The server sent an error after which it always closes. */
  #isRefused = false;
  /** @type {number | null} delay before the next attempt, if the server named one */
  #retryAfterMs = null;
  #cancelTimer = () => {};
  #stopListening;

  /**
   * @internal
   * @param {string} url
   * @param {ConnectOptions} options
   * @param {Environment} environment
   */
  constructor(url, options, environment) {
    super();
    this.#url = url;
    this.#options = options;
    this.#environment = environment;
    this.#store = resumeStore(options);
    this.#secret = this.#store?.load() ?? null;
    this.#calls = new Calls(options.clientId, environment.createConnection, {
      canSend: () => this.#state === "registered",
      send: (message, targetId) => this.send(message, targetId),
      emit: (type, detail) => this.#emit(type, detail),
      checkConnection: () => this.#checkConnection(),
    });
    this.#stopListening = environment.listen({
      onOnline: () => this.#wentOnline(),
      onUnload: () => this.#sayGoodbye(),
    });
    this.#connect();
  }

  /**
   * The ID of this client.
   *
   * @returns {string}
   */
  get clientId() {
    return this.#options.clientId;
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /**
   * The IDs of the others in the room; empty without `presence`.
   *
   * @returns {ReadonlySet<string>}
   */
  get peers() {
    return this.#peers;
  }

  /**
   * The ICE servers that the server handed out; {@link peer} uses them.
   *
   * @returns {readonly IceServer[]}
   */
  get iceServers() {
    return this.#iceServers;
  }

  /**
   * True if this registration resumed the one before, with the messages that the server stored meanwhile.
   *
   * @returns {boolean}
   */
  get resumed() {
    return this.#resumed;
  }

  /**
   * Sends a message, now or after the next registration. At most 64 messages wait for that.
   *
   * @param {object} message any JSON object; the client sets `target_id`, the server `from`
   * @param {string} [targetId] the recipient; without it, all others in the room
   * @returns {void}
   * @throws {SignalingError} `queue_full`; `closed` after the end
   */
  send(message, targetId) {
    if (this.#state === "closed") throw new SignalingError("closed", "Signaling has been closed.");
    const text = JSON.stringify({ ...message, target_id: targetId });
    const socket = this.#state === "registered" ? this.#socket : null;
    const isOpen = socket?.readyState === OPEN;
    const isFull = isOpen
      ? socket.bufferedAmount > MAX_BUFFERED_BYTES
      : this.#queue.length >= MAX_QUEUED_MESSAGES;
    if (isFull) {
      const limit = isOpen ? "1 MiB waits in the connection" : "64 messages wait for it";
      const text = `Message not sent: ${limit}. Send more slowly, or wait for "registered".`;
      throw new SignalingError("queue_full", text, { targetId });
    }
    if (isOpen) this.#transmit(text);
    else this.#queue.push(text);
  }

  /**
   * Measures the time of a message to the server and back.
   *
   * @returns {Promise<number>} milliseconds; rejects with `ping_failed` if there is no answer within 5 s
   */
  async ping() {
    if (this.#state !== "registered") throw new SignalingError("ping_failed", "Not registered.");
    const name = randomName();
    const startedAtMs = this.#environment.now();
    await new Promise((resolve, reject) => {
      const cancel = this.#environment.after(PING_TIMEOUT_MS, () => {
        this.#pings.delete(name);
        reject(new SignalingError("ping_failed", "The server did not answer within 5 s."));
      });
      this.#pings.set(name, () => {
        cancel();
        resolve(null);
      });
      this.#transmit(JSON.stringify({ type: "ping", ping: name, target_id: this.clientId }));
    });
    return this.#environment.now() - startedAtMs;
  }

  /**
   * Returns the connection to another client, and makes it if there is none. Add tracks or data channels; offers,
   * answers, candidates, glare and ICE restarts follow by themselves. Accepts a call of that client.
   *
   * @param {string} peerId
   * @param {PeerOptions} [options]
   * @returns {PeerConnection}
   */
  peer(peerId, options = {}) {
    return this.#calls.open(peerId, options);
  }

  /**
   * Closes the connection to another client, and notifies that client.
   *
   * @param {string} peerId
   * @returns {void}
   */
  hangUp(peerId) {
    this.#calls.hangUp(peerId);
  }

  /**
   * Gives the ID up, for good. Peer connections stay open, but cannot negotiate any more.
   *
   * @returns {void}
   */
  close() {
    if (this.#state === "closed") return;
    this.#detach()?.close(NORMAL_CLOSURE);
    this.#saveSecret(null);
    this.#end({ code: NORMAL_CLOSURE, reason: "" });
  }

  /**
   * Listens to an event, as addEventListener does, and passes its `detail`.
   *
   * @template {keyof SignalingEvents} Type
   * @param {Type} type
   * @param {(detail: SignalingEvents[Type], event: Event) => void} listener
   * @returns {() => void} removes the listener
   */
  on(type, listener) {
    /** @param {Event} event */
    const receive = (event) => {
      listener(/** @type {CustomEvent<SignalingEvents[Type]>} */ (event).detail, event);
    };
    this.addEventListener(type, receive);
    return () => this.removeEventListener(type, receive);
  }

  // Connecting, and connecting again.

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
    const register = {
      type: "register",
      client_id: clientId,
      room,
      presence: presence ? "batch" : undefined,
      token,
      resume: this.#store ? this.#secret ?? true : undefined,
    };
    const socket = this.#environment.openSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => this.#transmit(JSON.stringify(register));
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = (event) => this.#lost(event);
    socket.onerror = () => {}; // `close` follows; without a listener, npm's `ws` would end the process
    this.#cancelTimer = this.#environment.after(REGISTER_TIMEOUT_MS, () => this.#drop());
  }

  /** Treats the connection as lost without waiting for its end. */
  #drop() {
    const socket = this.#socket;
    this.#lost({ code: ABNORMAL_CLOSURE, reason: "timeout" });
    socket?.close();
  }

  /** Takes the socket away, so that none of its events arrives any more. */
  #detach() {
    this.#cancelTimer();
    const socket = this.#socket;
    this.#socket = null;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
    return socket;
  }

  /** @param {{ code: number, reason: string }} close */
  #lost({ code, reason }) {
    const hadSocket = this.#detach() !== null;
    const heldMs = this.#environment.now() - this.#registeredAtMs;
    if (this.#state === "registered" && heldMs >= STABLE_AFTER_MS) this.#failures = 0;
    if (this.#isRefused || FINAL_CLOSE_CODES.has(code)) return this.#end({ code, reason });
    const isUnanswered = hadSocket && this.#state === "connecting" && code === ABNORMAL_CLOSURE;
    if (isUnanswered) this.#attemptFailed();
    const delayMs = this.#nextDelayMs(code);
    this.#setState("waiting", { code, reason, delayMs });
    // A listener may have closed meanwhile.
    if (this.#state !== "waiting") return;
    this.#cancelTimer = this.#environment.after(delayMs, () => this.#connect());
  }

  /** @param {number} closeCode */
  #nextDelayMs(closeCode) {
    const { random } = this.#environment;
    const retryAfterMs = this.#retryAfterMs;
    this.#retryAfterMs = null;
    if (retryAfterMs !== null) return Math.min(retryAfterMs, MAX_DELAY_MS);
    if (closeCode === SERVICE_RESTART) return random() * RESTART_SPREAD_MS;
    const ceilingMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures++);
    return ceilingMs * (0.5 + random() / 2);
  }

  async #attemptFailed() {
    if (++this.#unanswered !== ATTEMPTS_BEFORE_DIAGNOSIS) return;
    const message = await diagnose(this.#url, this.#environment);
    const isStillAway = this.#unanswered > 0 && this.#state !== "closed";
    if (isStillAway) this.#fail("connect_failed", message);
  }

  #wentOnline() {
    if (this.#state === "registered") this.#checkConnection();
    if (this.#state !== "waiting") return;
    this.#cancelTimer();
    this.#connect();
  }

  /** Drops the connection if it looks open but is dead: a browser notices that only after minutes. */
  #checkConnection() {
    const socket = this.#socket;
    if (this.#state !== "registered") return;
    this.ping().catch(() => {
      if (this.#socket === socket) this.#drop();
    });
  }

  /**
   * Ends calls and gives the ID up when the page ends, unless a reload can resume it. If the page stays after all,
   * the close event of the socket leads to the next attempt.
   */
  #sayGoodbye() {
    const canResume = this.#store && this.#options.resume !== true;
    if (canResume) return;
    this.#calls.hangUpAll();
    this.#saveSecret(null);
    this.#socket?.close(NORMAL_CLOSURE);
  }

  /** @param {{ code: number, reason: string }} close */
  #end(close) {
    this.#stopListening();
    this.#queue.length = 0;
    this.#setState("closed", close);
  }

  /**
   * @param {State} state
   * @param {Partial<StateChange>} [more]
   */
  #setState(state, more) {
    this.#state = state;
    this.#emit("statechange", { state, ...more });
  }

  // Messages from the server.

  /** @param {unknown} data */
  #receive(data) {
    this.#emit("frame", { direction: "in", text: String(data) });
    const message = parseObject(data);
    if (message === null) {
      this.#fail("bad_frame", "The server sent a message that is not a JSON object.");
    } else if (typeof message.from !== "string") {
      this.#receiveNotice(message);
    } else if (!this.#isPing(message)) {
      const goesOn = this.#emit("message", /** @type {PeerMessage} */ (message));
      if (goesOn) this.#calls.receive(/** @type {PeerMessage} */ (message));
    }
  }

  /** @param {Record<string, any>} message */
  #isPing({ from, type, ping }) {
    const isOwn = from === this.clientId && type === "ping" && typeof ping === "string";
    if (!isOwn) return false;
    this.#pings.get(ping)?.();
    return this.#pings.delete(ping);
  }

  /** @param {Record<string, any>} notice */
  #receiveNotice(notice) {
    switch (notice.type) {
      case "registered":
        return this.#registered(notice);
      case "error":
        return this.#refused(notice);
      case "peers_changed":
        for (const id of notice.left) this.#left(id);
        for (const id of notice.joined) this.#joined(id);
    }
  }

  /** @param {Record<string, any>} error */
  #refused({ code, message, target_id: targetId, retry_after_ms: retryAfterMs }) {
    this.#unanswered = 0;
    this.#isRefused ||= FINAL_ERROR_CODES.has(code);
    if (code === "id_held" && retryAfterMs >= 0) this.#retryAfterMs = retryAfterMs;
    this.#fail(code, message, { targetId });
  }

  /** @param {Record<string, any>} notice */
  #registered({ peers = [], ice_servers: iceServers = [], resume = null, resumed = false }) {
    this.#cancelTimer();
    this.#registeredAtMs = this.#environment.now();
    this.#unanswered = 0;
    this.#iceServers = iceServers;
    this.#resumed = resumed;
    this.#saveSecret(resume);
    for (const text of this.#queue.splice(0)) this.#transmit(text);
    this.#setState("registered");
    this.#updatePeers(new Set(peers));
    this.#calls.resumeNegotiations(iceServers);
  }

  /**
   * Emits `left` and `joined` for the changes while there was no connection.
   *
   * @param {Set<string>} present
   */
  #updatePeers(present) {
    for (const id of this.#peers) if (!present.has(id)) this.#left(id);
    for (const id of present) if (!this.#peers.has(id)) this.#joined(id);
  }

  /** @param {string} clientId */
  #joined(clientId) {
    this.#peers.add(clientId);
    this.#emit("joined", { clientId });
    this.#calls.peerJoined(clientId);
  }

  /** @param {string} clientId */
  #left(clientId) {
    if (this.#peers.delete(clientId)) this.#emit("left", { clientId });
  }

  /** @param {string} text */
  #transmit(text) {
    this.#socket?.send(text);
    this.#emit("frame", { direction: "out", text });
  }

  /** @param {string | null} secret */
  #saveSecret(secret) {
    this.#secret = secret;
    this.#store?.save(secret);
  }

  /**
   * @param {string} code
   * @param {string} message
   * @param {{ targetId?: string, cause?: unknown }} [more]
   */
  #fail(code, message, more) {
    this.#emit("error", new SignalingError(code, message, more));
  }

  /**
   * @template {keyof SignalingEvents} Type
   * @param {Type} type
   * @param {SignalingEvents[Type]} detail
   * @returns {boolean} false if a listener prevented the default
   */
  #emit(type, detail) {
    return this.dispatchEvent(new CustomEvent(type, { detail, cancelable: true }));
  }
}

/**
 * The peer connections of a client, and the calls that wait for accept(). A reloaded page is a new peer under an old
 * ID, and messages for its predecessor may still arrive. So offers, answers, candidates and byes carry `session`, the
 * sender's connection, and `peer_session`, the receiver's, once it is known. A peer without them (any client of the
 * core protocol) is recognised by the DTLS fingerprint in its SDP.
 */
class Calls {
  #clientId;
  #createConnection;
  #signaling;
  /** @type {IceServer[]} */
  #iceServers = [];
  /** @type {Map<string, Negotiation>} */
  #negotiations = new Map();
  /** @type {Map<string, PendingCall>} */
  #pending = new Map();

  /**
   * @param {string} clientId
   * @param {Environment["createConnection"]} createConnection
   * @param {SignalingAccess} signaling
   */
  constructor(clientId, createConnection, signaling) {
    this.#clientId = clientId;
    this.#createConnection = createConnection;
    this.#signaling = signaling;
  }

  /**
   * @param {string} peerId
   * @param {PeerOptions} options
   * @returns {RTCPeerConnection}
   */
  open(peerId, { polite = this.#clientId < peerId, configuration = {} }) {
    const existing = this.#find(peerId);
    if (existing) return existing.connection;
    const connection = this.#createConnection({ iceServers: this.#iceServers, ...configuration });
    const signaling = this.#signaling;
    const negotiation = new Negotiation(peerId, { polite, configuration, signaling, connection });
    this.#negotiations.set(peerId, negotiation);
    const pending = this.#pending.get(peerId);
    this.#pending.delete(peerId);
    for (const message of pending?.messages ?? []) negotiation.receive(message);
    return connection;
  }

  /** @param {string} peerId */
  hangUp(peerId) {
    const negotiation = this.#find(peerId);
    const pending = this.#pending.get(peerId);
    if (negotiation) this.#sendBye(peerId, negotiation.peerSession, negotiation.session);
    else if (pending) this.#sendBye(peerId, pending.session);
    this.#forget(peerId);
  }

  hangUpAll() {
    for (const peerId of [...this.#negotiations.keys(), ...this.#pending.keys()]) {
      this.hangUp(peerId);
    }
  }

  /** @param {PeerMessage} message */
  receive(message) {
    if (!isNegotiation(message)) return;
    const negotiation = this.#find(message.from);
    if (message.type === "bye") return this.#receiveBye(message, negotiation);
    const peerSession = typeof message.peer_session === "string" ? message.peer_session : null;
    if (peerSession !== null && peerSession !== negotiation?.session) {
      // The message is for an earlier connection, which this page does not have.
      if (message.type === "offer") this.#sendBye(message.from, sessionOf(message));
    } else if (negotiation?.isWith(message)) {
      negotiation.receive(message);
    } else if (!negotiation || message.type === "offer") {
      this.#ring(message, negotiation);
    }
  }

  /**
   * Stores messages of a new peer until accept(); the first offer emits `call`.
   *
   * @param {PeerMessage} message
   * @param {Negotiation | undefined} former the negotiation with the peer's predecessor
   */
  #ring(message, former) {
    const isOffer = message.type === "offer";
    const identity = identityOf(message);
    let pending = this.#pending.get(message.from);
    if (!pending || isOffer && pending.hasRung && pending.identity !== identity) {
      pending = this.#addPending(message.from);
    }
    if (pending.messages.length < MAX_EARLY_MESSAGES) pending.messages.push(message);
    if (!isOffer || pending.hasRung) return;
    pending.hasRung = true;
    pending.identity = identity;
    pending.session = sessionOf(message);
    former?.connection.close();
    this.#signaling.emit("call", {
      peerId: message.from,
      replaces: former?.connection ?? null,
      accept: (options = {}) => this.open(message.from, options),
      refuse: () => this.hangUp(message.from),
    });
  }

  /** @param {string} peerId */
  #addPending(peerId) {
    /** @type {PendingCall} */
    const pending = { hasRung: false, identity: undefined, session: undefined, messages: [] };
    this.#pending.delete(peerId); // moves it to the end
    this.#pending.set(peerId, pending);
    const [oldest = peerId] = this.#pending.keys();
    if (this.#pending.size > MAX_PENDING_CALLS) this.#pending.delete(oldest);
    return pending;
  }

  /**
   * @param {PeerMessage} message
   * @param {Negotiation | undefined} negotiation
   */
  #receiveBye(message, negotiation) {
    const peerSession = message.peer_session;
    if (negotiation && peerSession !== undefined && peerSession !== negotiation.session) return;
    this.#forget(message.from);
    const connection = negotiation?.connection ?? null;
    this.#signaling.emit("ended", { peerId: message.from, connection });
  }

  /**
   * @param {string} peerId
   * @param {string | undefined} peerSession
   * @param {string} [session]
   */
  #sendBye(peerId, peerSession, session) {
    if (!this.#signaling.canSend()) return;
    this.#signaling.send({ type: "bye", session, peer_session: peerSession }, peerId);
  }

  /** @param {string} peerId */
  #forget(peerId) {
    this.#negotiations.get(peerId)?.connection.close();
    this.#negotiations.delete(peerId);
    this.#pending.delete(peerId);
  }

  /** @param {string} peerId */
  #find(peerId) {
    const negotiation = this.#negotiations.get(peerId);
    if (!negotiation?.isClosed) return negotiation;
    this.#negotiations.delete(peerId); // the page closed it without hangUp()
    return undefined;
  }

  /**
   * Continues all negotiations after a registration.
   *
   * @param {IceServer[]} iceServers
   */
  resumeNegotiations(iceServers) {
    this.#iceServers = iceServers;
    for (const negotiation of this.#negotiations.values()) negotiation.resume(iceServers);
  }

  /** @param {string} peerId */
  peerJoined(peerId) {
    this.#find(peerId)?.repeatOffer();
  }
}

/**
 * One peer connection, negotiated as in the "perfect negotiation" of WebRTC 1.0, section 10.7. Both sides may change
 * anything at any time. If two offers cross, the polite side takes its own back.
 */
class Negotiation {
  /** Name of this connection in the messages that it sends. */
  session = randomName();
  /**
   * Name of the peer's connection, once it is known; a client of the core protocol has none.
   *
   * @type {string | undefined}
   */
  peerSession = undefined;
  connection;
  /** @type {string | undefined} */
  #peerIdentity = undefined;
  #peerId;
  #polite;
  #configuration;
  #signaling;
  #makingOffer = false;
  #ignoringOffer = false;
  #settingAnswer = false;
  /** A description exists that could not be sent. */
  #isUnsent = false;
  /** The browser asked for an offer while none could be sent. */
  #isOfferDue = false;
  #hasRemote = false;
  /** Resolves at the first ICE candidate of this side. */
  #firstCandidate;
  /**
   * Candidates that came before their description. Those of an earlier connection of the peer can be among them.
   *
   * @type {PeerMessage[]}
   */
  #earlyCandidates = [];

  /**
   * @param {string} peerId
   * @param {object} deps
   * @param {RTCPeerConnection} deps.connection
   * @param {boolean} deps.polite
   * @param {RTCConfiguration} deps.configuration
   * @param {SignalingAccess} deps.signaling
   */
  constructor(peerId, { connection, polite, configuration, signaling }) {
    this.#peerId = peerId;
    this.#polite = polite;
    this.#configuration = configuration;
    this.#signaling = signaling;
    this.connection = connection;
    connection.addEventListener("negotiationneeded", () => this.#offer());
    connection.addEventListener("icecandidate", ({ candidate }) => this.#sendCandidate(candidate));
    this.#firstCandidate = new Promise((resolve) => {
      connection.addEventListener("icecandidate", resolve, { once: true });
    });
    connection.addEventListener("connectionstatechange", () => this.#connectionStateChanged());
  }

  get isClosed() {
    return this.connection.signalingState === "closed";
  }

  /** Restarts ICE after a failure. Chromium's called side fails here only: its ICE state stays "disconnected". */
  #connectionStateChanged() {
    if (this.connection.connectionState !== "failed") return;
    this.connection.restartIce();
    this.#signaling.checkConnection(); // the same fault may have cut it off
  }

  /**
   * Returns whether a message is of the known peer; true if nothing contradicts that.
   *
   * @param {PeerMessage} message
   */
  isWith(message) {
    const identity = identityOf(message);
    const known = this.#peerIdentity;
    return identity === undefined || known === undefined || identity === known;
  }

  /**
   * Applies an offer, an answer or a candidate.
   *
   * @param {PeerMessage} message
   */
  async receive(message) {
    try {
      if (message.type === "candidate") return await this.#addCandidate(message);
      this.peerSession ??= sessionOf(message);
      this.#peerIdentity ??= identityOf(message);
      await this.#setRemote({ type: message.type, sdp: message.sdp });
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Sends what could not be sent without signaling, or restarts ICE if the path is lost.
   *
   * @param {IceServer[]} iceServers
   */
  resume(iceServers) {
    if (this.isClosed) return;
    const { connection } = this;
    try {
      connection.setConfiguration({ iceServers, ...this.#configuration });
    } catch (error) {
      this.#fail(error); // the connection goes on with the servers that it has
    }
    if (this.#isOfferDue) this.#offer();
    else if (this.#isUnsent || connection.signalingState === "have-local-offer") {
      this.#sendDescription();
    } else if (this.#hasRemote && connection.connectionState !== "connected") {
      connection.restartIce();
    }
  }

  /** Sends the offer again, because a peer that has just joined may not have received it. */
  repeatOffer() {
    if (this.connection.signalingState === "have-local-offer") this.#sendDescription();
  }

  async #offer() {
    this.#isOfferDue = !this.#signaling.canSend();
    // In any other state than stable, the browser asks again once it is stable.
    if (this.#isOfferDue || this.connection.signalingState !== "stable") return;
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
    if (!isOffer && !awaitsAnswer) return; // an answer to a repeated offer
    const isReady = connection.signalingState === "stable" || this.#settingAnswer;
    const isCollision = isOffer && (this.#makingOffer || !isReady);
    this.#ignoringOffer = isCollision && !this.#polite;
    if (this.#ignoringOffer) {
      this.#earlyCandidates.length = 0; // they belong to this offer
      return;
    }
    // Chromium never gathers a candidate if an offer is taken back before the first one.
    if (isCollision && !this.#hasRemote) {
      await Promise.race([this.#firstCandidate, delay(FIRST_CANDIDATE_TIMEOUT_MS)]);
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

  /** @param {PeerMessage} message */
  async #addCandidate(message) {
    const candidate = candidateOf(message);
    if (candidate === null || this.isClosed) return;
    if (!this.#hasRemote) {
      const isFull = this.#earlyCandidates.length >= MAX_EARLY_MESSAGES;
      if (!this.#ignoringOffer && !isFull) this.#earlyCandidates.push(message);
      return;
    }
    try {
      await this.connection.addIceCandidate(candidate);
    } catch (error) {
      if (!this.#ignoringOffer) throw error;
    }
  }

  /** Adds candidates that came before their description; the browser queues them until it is set. */
  #addEarlyCandidates() {
    this.#hasRemote = true;
    const candidates = this.#earlyCandidates.splice(0).filter((message) => this.isWith(message));
    for (const candidate of candidates) {
      this.#addCandidate(candidate).catch((error) => this.#fail(error));
    }
  }

  #sendDescription() {
    const description = this.connection.localDescription;
    this.#isUnsent = description !== null && !this.#signaling.canSend();
    if (description === null || this.#isUnsent) return;
    this.#send({ type: description.type, sdp: description.sdp });
  }

  /** @param {RTCIceCandidate | null} candidate */
  #sendCandidate(candidate) {
    // A candidate that cannot be sent now is part of the repeated description, or found again by an ICE restart.
    if (!candidate?.candidate || !this.#signaling.canSend()) return;
    this.#send({ type: "candidate", ...candidate.toJSON() });
  }

  /** @param {object} message */
  #send(message) {
    try {
      const names = { session: this.session, peer_session: this.peerSession };
      this.#signaling.send({ ...message, ...names }, this.#peerId);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} cause */
  #fail(cause) {
    if (this.isClosed) return;
    const message = `The negotiation with ${this.#peerId} failed: ${messageOf(cause)}`;
    const more = { targetId: this.#peerId, cause };
    this.#signaling.emit("error", new SignalingError("negotiation_failed", message, more));
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
 * Returns what distinguishes a connection of a peer from its next one; not every message has it.
 *
 * @param {PeerMessage} message
 * @returns {string | undefined}
 */
function identityOf(message) {
  const { sdp } = message;
  const fingerprint = typeof sdp === "string" ? /^a=fingerprint:(.+?)\s*$/m.exec(sdp) : null;
  return sessionOf(message) ?? fingerprint?.[1];
}

/**
 * Reads the candidate of a message, whose members are in the message itself or in its `candidate`.
 *
 * @param {PeerMessage} message
 * @returns {RTCIceCandidateInit | null} null for the end of candidates, which needs no action
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
 * @returns {Record<string, any> | null} null if it is not a JSON object
 */
function parseObject(data) {
  try {
    const value = JSON.parse(String(data));
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/**
 * Asks `/healthz` why no WebSocket can be opened; a browser does not say.
 *
 * @param {string} url
 * @param {Environment} environment
 */
async function diagnose(url, { fetch, origin }) {
  const health = new URL("healthz", url);
  health.protocol = health.protocol.replace("ws", "http");
  const tls = health.protocol === "https:" ? ", or its certificate is not accepted" : "";
  try {
    const { status } = await fetch(health.href);
    if (status === 200) {
      const refusal = origin ? `it may not allow the origin ${origin} (--allow-origin), or ` : "";
      return `The server answers at ${health}, but no WebSocket can be opened: ${refusal}` +
        "a proxy before it may not pass on Upgrade.";
    }
    const reason = status < 500
      ? "there is no signalbox server at this address"
      : "the server is shutting down, or a proxy cannot reach it";
    return `${health} answers with status ${status}: ${reason}.`;
  } catch (error) {
    const { cause } = /** @type {Error} */ (error);
    const detail = cause === undefined ? "" : ` (${messageOf(cause)})`;
    return `There is no answer from ${health}${detail}: the server is away, the address is wrong${tls}.`;
  }
}

/**
 * @param {ConnectOptions} options
 * @returns {ResumeStore | null}
 */
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

/** Returns a name that is unique, but not secret. */
function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {number} ms */
function delay(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * @param {ConnectOptions} options
 * @returns {Environment}
 */
function platformEnvironment({ WebSocket = globalThis.WebSocket }) {
  if (WebSocket === undefined) {
    throw new TypeError("This runtime has no WebSocket. Pass one as an option, such as npm's ws.");
  }
  return {
    openSocket: (url) => new WebSocket(url),
    createConnection: (configuration) => new RTCPeerConnection(configuration),
    fetch: (url) => fetch(url, { signal: AbortSignal.timeout(PING_TIMEOUT_MS) }),
    origin: globalThis.location?.origin,
    listen: listenToPage,
    random: Math.random,
    now: () => performance.now(),
    after(delayMs, callback) {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    },
  };
}

/**
 * Listens to what happens to a page or worker; Node has no such events.
 *
 * @param {PageListeners} listeners
 * @returns {() => void} removes the listeners
 */
function listenToPage({ onOnline, onUnload }) {
  const target = globalThis;
  if (typeof target.addEventListener !== "function") return () => {};
  target.addEventListener("online", onOnline);
  target.addEventListener("pagehide", onUnload);
  // Firefox closes WebSockets before `pagehide`.
  const isFirefox = globalThis.navigator?.userAgent?.includes("Firefox/") ?? false;
  /** @param {BeforeUnloadEvent} event */
  const onLast = (event) => {
    const isStopped = event.defaultPrevented || event.returnValue;
    if (!isStopped) onUnload();
  };
  // The capturing listener runs first and adds the other one as the last, after all that may stop the unload.
  const onFirst = () => {
    target.removeEventListener("beforeunload", onLast);
    target.addEventListener("beforeunload", onLast);
  };
  if (isFirefox) target.addEventListener("beforeunload", onFirst, true);
  return () => {
    target.removeEventListener("online", onOnline);
    target.removeEventListener("pagehide", onUnload);
    target.removeEventListener("beforeunload", onFirst, true);
    target.removeEventListener("beforeunload", onLast);
  };
}

/**
 * The platform's RTCPeerConnection; `any` in a program whose types have none.
 *
 * @typedef {typeof globalThis extends { RTCPeerConnection: { prototype: infer T } } ? T : any} PeerConnection
 */

/**
 * The argument of RTCPeerConnection's constructor.
 *
 * @typedef {object} PeerConfiguration
 * @property {IceServer[]} [iceServers]
 * @property {"all" | "relay"} [iceTransportPolicy]
 * @property {number} [iceCandidatePoolSize]
 * @property {"balanced" | "max-bundle" | "max-compat"} [bundlePolicy]
 * @property {any[]} [certificates]
 */

/**
 * An entry of `iceServers` in the configuration of an RTCPeerConnection.
 *
 * @typedef {object} IceServer
 * @property {string | string[]} urls
 * @property {string} [username]
 * @property {string} [credential]
 */

/**
 * The ID to register, and what to ask the server for.
 *
 * @typedef {object} ConnectOptions
 * @property {string} clientId
 * @property {string} [room] a namespace of IDs; without it, the default room
 * @property {boolean} [presence] emit `joined` and `left` for the others in the room
 * @property {boolean | ResumeStore} [resume] `resumeIn(sessionStorage, key)` keeps the ID, and the messages sent to it,
 * over a lost connection and a reload; `true` over a lost connection only
 * @property {string | (() => string | Promise<string>)} [token] a JWT, or a function that is called before each attempt
 * @property {WebSocketConstructor} [WebSocket] for runtimes without one, such as Node 20: `WebSocket` of npm's `ws`
 */

/**
 * Storage of a resume secret; see {@link resumeIn}.
 *
 * @typedef {object} ResumeStore
 * @property {() => string | null} load
 * @property {(secret: string | null) => void} save
 */

/**
 * The part of `sessionStorage` that {@link resumeIn} uses.
 *
 * @typedef {object} KeyValueStorage
 * @property {(key: string) => string | null} getItem
 * @property {(key: string, value: string) => void} setItem
 * @property {(key: string) => void} removeItem
 */

/**
 * The part of WebSocket that this client uses.
 *
 * @typedef {object} WebSocketLike
 * @property {number} readyState
 * @property {number} bufferedAmount
 * @property {((event: any) => void) | null} onopen
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 * @property {(text: string) => void} send
 * @property {(code?: number) => void} close
 */

/** @typedef {new (url: string) => WebSocketLike} WebSocketConstructor */

/**
 * @typedef {object} PeerOptions
 * @property {boolean} [polite] whether this side gives way if two offers cross; by default the lower ID does
 * @property {PeerConfiguration} [configuration] merged over the server's ICE servers
 */

/**
 * `connecting`: on the way to `registered`; `waiting`: before the next attempt; `closed`: for good.
 *
 * @typedef {"connecting" | "registered" | "waiting" | "closed"} State
 */

/**
 * @typedef {object} StateChange
 * @property {State} state
 * @property {number} [code] of the close that led here
 * @property {string} [reason] of that close; the server sends its error codes
 * @property {number} [delayMs] time until the next attempt
 */

/**
 * A message of another client.
 *
 * @typedef {Record<string, any> & { from: string }} PeerMessage
 */

/**
 * An incoming call; it rings until accept() or refuse(). `replaces` is the former connection to the same client, which
 * has started again (most likely its page was reloaded); that connection is closed already.
 *
 * @typedef {object} Call
 * @property {string} peerId
 * @property {PeerConnection | null} replaces
 * @property {(options?: PeerOptions) => PeerConnection} accept
 * @property {() => void} refuse
 */

/**
 * The events of {@link Signaling}, and their `detail`. `message` comes for every message of another client, those of
 * the negotiation included; preventDefault() keeps one from the peer connections. `frame` is for debugging.
 *
 * @typedef {object} SignalingEvents
 * @property {StateChange} statechange
 * @property {SignalingError} error
 * @property {PeerMessage} message
 * @property {{ clientId: string }} joined
 * @property {{ clientId: string }} left
 * @property {Call} call
 * @property {{ peerId: string, connection: PeerConnection | null }} ended the other side has hung up
 * @property {{ direction: "in" | "out", text: string }} frame
 */

/**
 * The parts of the platform that the client needs, passed in for the tests.
 *
 * @internal
 * @typedef {object} Environment
 * @property {(url: string) => WebSocketLike} openSocket
 * @property {(configuration: PeerConfiguration) => PeerConnection} createConnection
 * @property {(url: string) => Promise<{ status: number }>} fetch
 * @property {string | undefined} origin of the page
 * @property {(listeners: PageListeners) => () => void} listen
 * @property {() => number} random from 0 up to 1
 * @property {() => number} now in milliseconds
 * @property {(delayMs: number, callback: () => void) => () => void} after returns a function that cancels it
 */

/**
 * @internal
 * @typedef {object} PageListeners
 * @property {() => void} onOnline called when the network is back
 * @property {() => void} onUnload called when the page ends
 */

/**
 * The parts of signaling that peer connections need.
 *
 * @internal
 * @typedef {object} SignalingAccess
 * @property {() => boolean} canSend
 * @property {(message: object, targetId: string) => void} send
 * @property {<Type extends keyof SignalingEvents>(type: Type, detail: SignalingEvents[Type]) => void} emit
 * @property {() => void} checkConnection
 */

/**
 * Messages of a caller before its call was accepted.
 *
 * @internal
 * @typedef {object} PendingCall
 * @property {boolean} hasRung
 * @property {string | undefined} identity
 * @property {string | undefined} session
 * @property {PeerMessage[]} messages
 */
