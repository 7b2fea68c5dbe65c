/**
 * Connects to a signalbox server, and stays connected until {@link Signaling.close} or a final error.
 *
 * @param {string | URL} url of the server, `wss:` or `https:`, or relative to the page
 * @param {ConnectOptions} options
 * @returns {Signaling}
 * @throws {SyntaxError | TypeError} if `url` is not a URL
 */
export function connect(url: string | URL, options: ConnectOptions): Signaling;
/**
 * Stores the resume secret in a storage, so that it survives a reload: `resume: resumeIn(sessionStorage, "my-call")`.
 *
 * @param {KeyValueStorage} storage `sessionStorage` belongs to one tab; with `localStorage` two tabs fight for one ID
 * @param {string} key
 * @returns {ResumeStore}
 */
export function resumeIn(storage: KeyValueStorage, key: string): ResumeStore;
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
    constructor(code: string, message: string, { targetId, cause }?: {
        targetId?: string | undefined;
        cause?: unknown;
    });
    code: string;
    /**
     * The client that the failed message was for, if there was one.
     *
     * @type {string | undefined}
     */
    targetId: string | undefined;
}
/**
 * One client of the server. Its events are {@link SignalingEvents}; listen with {@link Signaling.on}.
 *
 * @extends {EventTarget}
 */
export class Signaling extends EventTarget {
    /**
     * @internal
     * @param {string} url
     * @param {ConnectOptions} options
     * @param {Environment} environment
     */
    constructor(url: string, options: ConnectOptions, environment: Environment);
    /**
     * The ID of this client.
     *
     * @returns {string}
     */
    get clientId(): string;
    /** @returns {State} */
    get state(): State;
    /**
     * The IDs of the others in the room; empty without `presence`.
     *
     * @returns {ReadonlySet<string>}
     */
    get peers(): ReadonlySet<string>;
    /**
     * The ICE servers that the server handed out; {@link peer} uses them.
     *
     * @returns {readonly IceServer[]}
     */
    get iceServers(): readonly IceServer[];
    /**
     * True if this registration resumed the one before, with the messages that the server stored meanwhile.
     *
     * @returns {boolean}
     */
    get resumed(): boolean;
    /**
     * Sends a message, now or after the next registration. At most 64 messages wait for that.
     *
     * @param {object} message any JSON object; the client sets `target_id`, the server `from`
     * @param {string} [targetId] the recipient; without it, all others in the room
     * @returns {void}
     * @throws {SignalingError} `queue_full`; `closed` after the end
     */
    send(message: object, targetId?: string): void;
    /**
     * Measures the time of a message to the server and back.
     *
     * @returns {Promise<number>} milliseconds; rejects with `ping_failed` if there is no answer within 5 s
     */
    ping(): Promise<number>;
    /**
     * Returns the connection to another client, and makes it if there is none. Add tracks or data channels; offers,
     * answers, candidates, glare and ICE restarts follow by themselves. Accepts a call of that client.
     *
     * @param {string} peerId
     * @param {PeerOptions} [options]
     * @returns {PeerConnection}
     */
    peer(peerId: string, options?: PeerOptions): PeerConnection;
    /**
     * Closes the connection to another client, and notifies that client.
     *
     * @param {string} peerId
     * @returns {void}
     */
    hangUp(peerId: string): void;
    /**
     * Gives the ID up, for good. Peer connections stay open, but cannot negotiate any more.
     *
     * @returns {void}
     */
    close(): void;
    /**
     * Listens to an event, as addEventListener does, and passes its `detail`.
     *
     * @template {keyof SignalingEvents} Type
     * @param {Type} type
     * @param {(detail: SignalingEvents[Type], event: Event) => void} listener
     * @returns {() => void} removes the listener
     */
    on<Type extends keyof SignalingEvents>(type: Type, listener: (detail: SignalingEvents[Type], event: Event) => void): () => void;
    #private;
}
/**
 * The platform's RTCPeerConnection; `any` in a program whose types have none.
 */
export type PeerConnection = typeof globalThis extends {
    RTCPeerConnection: {
        prototype: infer T;
    };
} ? T : any;
/**
 * The argument of RTCPeerConnection's constructor.
 */
export type PeerConfiguration = {
    iceServers?: IceServer[];
    iceTransportPolicy?: "all" | "relay";
    iceCandidatePoolSize?: number;
    bundlePolicy?: "balanced" | "max-bundle" | "max-compat";
    certificates?: any[];
};
/**
 * An entry of `iceServers` in the configuration of an RTCPeerConnection.
 */
export type IceServer = {
    urls: string | string[];
    username?: string;
    credential?: string;
};
/**
 * The ID to register, and what to ask the server for.
 */
export type ConnectOptions = {
    clientId: string;
    /**
     * a namespace of IDs; without it, the default room
     */
    room?: string;
    /**
     * emit `joined` and `left` for the others in the room
     */
    presence?: boolean;
    /**
     * `resumeIn(sessionStorage, key)` keeps the ID, and the messages sent to it,
     * over a lost connection and a reload; `true` over a lost connection only
     */
    resume?: boolean | ResumeStore;
    /**
     * a JWT, or a function that is called before each attempt
     */
    token?: string | (() => string | Promise<string>);
    /**
     * for runtimes without one, such as Node 20: `WebSocket` of npm's `ws`
     */
    WebSocket?: WebSocketConstructor;
};
/**
 * Storage of a resume secret; see {@link resumeIn}.
 */
export type ResumeStore = {
    load: () => string | null;
    save: (secret: string | null) => void;
};
/**
 * The part of `sessionStorage` that {@link resumeIn} uses.
 */
export type KeyValueStorage = {
    getItem: (key: string) => string | null;
    setItem: (key: string, value: string) => void;
    removeItem: (key: string) => void;
};
/**
 * The part of WebSocket that this client uses.
 */
export type WebSocketLike = {
    readyState: number;
    bufferedAmount: number;
    onopen: ((event: any) => void) | null;
    onmessage: ((event: any) => void) | null;
    onclose: ((event: any) => void) | null;
    onerror: ((event: any) => void) | null;
    send: (text: string) => void;
    close: (code?: number) => void;
};
export type WebSocketConstructor = new (url: string) => WebSocketLike;
export type PeerOptions = {
    /**
     * whether this side gives way if two offers cross; by default the lower ID does
     */
    polite?: boolean;
    /**
     * merged over the server's ICE servers
     */
    configuration?: PeerConfiguration;
};
/**
 * `connecting`: on the way to `registered`; `waiting`: before the next attempt; `closed`: for good.
 */
export type State = "connecting" | "registered" | "waiting" | "closed";
export type StateChange = {
    state: State;
    /**
     * of the close that led here
     */
    code?: number;
    /**
     * of that close; the server sends its error codes
     */
    reason?: string;
    /**
     * time until the next attempt
     */
    delayMs?: number;
};
/**
 * A message of another client.
 */
export type PeerMessage = Record<string, any> & {
    from: string;
};
/**
 * An incoming call; it rings until accept() or refuse(). `replaces` is the former connection to the same client, which
 * has started again (most likely its page was reloaded); that connection is closed already.
 */
export type Call = {
    peerId: string;
    replaces: PeerConnection | null;
    accept: (options?: PeerOptions) => PeerConnection;
    refuse: () => void;
};
/**
 * The events of {@link Signaling}, and their `detail`. `message` comes for every message of another client, those of
 * the negotiation included; preventDefault() keeps one from the peer connections. `frame` is for debugging.
 */
export type SignalingEvents = {
    statechange: StateChange;
    error: SignalingError;
    message: PeerMessage;
    joined: {
        clientId: string;
    };
    left: {
        clientId: string;
    };
    call: Call;
    /**
     * the other side has hung up
     */
    ended: {
        peerId: string;
        connection: PeerConnection | null;
    };
    frame: {
        direction: "in" | "out";
        text: string;
    };
};
/**
 * The parts of the platform that the client needs, passed in for the tests.
 */
export type Environment = {
    openSocket: (url: string) => WebSocketLike;
    createConnection: (configuration: PeerConfiguration) => PeerConnection;
    fetch: (url: string) => Promise<{
        status: number;
    }>;
    /**
     * of the page
     */
    origin: string | undefined;
    listen: (listeners: PageListeners) => () => void;
    /**
     * from 0 up to 1
     */
    random: () => number;
    /**
     * in milliseconds
     */
    now: () => number;
    /**
     * returns a function that cancels it
     */
    after: (delayMs: number, callback: () => void) => () => void;
};
export type PageListeners = {
    /**
     * called when the network is back
     */
    onOnline: () => void;
    /**
     * called when the page ends
     */
    onUnload: () => void;
};
/**
 * The parts of signaling that peer connections need.
 */
export type SignalingAccess = {
    canSend: () => boolean;
    send: (message: object, targetId: string) => void;
    emit: <Type extends keyof SignalingEvents>(type: Type, detail: SignalingEvents[Type]) => void;
    checkConnection: () => void;
};
/**
 * Messages of a caller before its call was accepted.
 */
export type PendingCall = {
    hasRung: boolean;
    identity: string | undefined;
    session: string | undefined;
    messages: PeerMessage[];
};
