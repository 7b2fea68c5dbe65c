/** The relay's vocabulary: commands of clients, notices of the server, and reasons to close a connection. */

/** Close codes of WebSocket (RFC 6455 section 7.4.1; 4000 and above are an application's own). */
const CLOSE = {
  NORMAL_CLOSURE: 1000,
  NO_STATUS_RECEIVED: 1005,
  POLICY_VIOLATION: 1008,
  MESSAGE_TOO_BIG: 1009,
  INTERNAL_ERROR: 1011,
  SERVICE_RESTART: 1012,
  TRY_AGAIN_LATER: 1013,
  CONFLICT: 4409,
} as const;

/**
 * The close code of each reason. The close frame carries the reason too, and an error notice with the same `code` goes
 * before it, except for the silent reasons.
 */
export const CLOSE_CODES = {
  invalid_message: CLOSE.POLICY_VIOLATION,
  not_registered: CLOSE.POLICY_VIOLATION,
  register_timeout: CLOSE.POLICY_VIOLATION,
  invalid_client_id: CLOSE.POLICY_VIOLATION,
  unauthorized: CLOSE.POLICY_VIOLATION,
  forbidden: CLOSE.POLICY_VIOLATION,
  rate_limited: CLOSE.POLICY_VIOLATION,
  disconnected: CLOSE.POLICY_VIOLATION,
  id_taken: CLOSE.CONFLICT,
  id_held: CLOSE.TRY_AGAIN_LATER,
  server_full: CLOSE.TRY_AGAIN_LATER,
  replaced: CLOSE.CONFLICT,
  message_too_large: CLOSE.MESSAGE_TOO_BIG,
  shutting_down: CLOSE.SERVICE_RESTART,
  overloaded: CLOSE.TRY_AGAIN_LATER,
  internal_error: CLOSE.INTERNAL_ERROR,
} as const;

/** The reasons for which the server closes a connection. */
export type CloseReason = keyof typeof CLOSE_CODES;

/** The reasons for which a connection ends, unless its client ends it: the runtime closes one with an unanswered ping. */
export type EndReason = CloseReason | "unanswered_ping";

/** Reasons without an error notice. `disconnected`: by the operator. */
const SILENT_REASONS = ["disconnected", "shutting_down", "overloaded", "internal_error"] as const;
type SilentReason = (typeof SILENT_REASONS)[number];

/** The `code` of an error that ends the connection. */
export type FatalCode = Exclude<CloseReason, SilentReason>;

/** Codes of errors that never end the connection. */
const MILD_CODES = [
  "already_registered",
  "target_not_found",
  "mailbox_full",
  "unavailable",
] as const;

/** The `code` of an error notice. */
export type ErrorCode = FatalCode | (typeof MILD_CODES)[number];

const FATAL_CODES = Object.keys(CLOSE_CODES).filter((reason): reason is FatalCode =>
  !SILENT_REASONS.some((silent) => silent === reason)
);

/** Every code that an error notice can have. */
export const ERROR_CODES: readonly ErrorCode[] = [...FATAL_CODES, ...MILD_CODES];

/** Returns whether an error with this code can end a connection. */
export function isFatalCode(code: ErrorCode): code is FatalCode {
  return Object.hasOwn(CLOSE_CODES, code);
}

/** Returns whether a close for this reason ends the session, even if the client registered with `resume`. */
export function releasesId(reason: CloseReason): boolean {
  const code: number = CLOSE_CODES[reason];
  return code === CLOSE.POLICY_VIOLATION || code === CLOSE.MESSAGE_TOO_BIG;
}

/** Returns whether a client that closes with this code ends its session. Any other end may be an accident. */
export function isGoodbye(code: number): boolean {
  return code === CLOSE.NORMAL_CLOSURE || code === CLOSE.NO_STATUS_RECEIVED;
}

/** An error in a message, from which the error notice is made. */
export class ProtocolError extends Error {
  /** @param retryAfterMs the longest time after which the client may succeed, in milliseconds, if that can be said */
  constructor(readonly code: ErrorCode, message: string, readonly retryAfterMs?: number) {
    super(message);
  }
}

/** The presence notices that a client wants: none, one for each change, or batches. */
export type PresenceMode = false | true | "batch";

/** A validated registration. */
export interface Registration {
  readonly clientId: string;
  /** `""` is the default room, which has no name. */
  readonly room: string;
  readonly presence: PresenceMode;
  /** True if the ID is held when the connection is lost; a string is the secret of an earlier session. */
  readonly resume: boolean | string;
  /** The `token` member, of any type, {@link Unread} if it is an object; undefined if there is none. */
  readonly token: unknown;
  /**
   * A secret that the client chose. A newer connection with the same secret takes over the ID, which is never held.
   */
  readonly ownSecret?: string;
  /** The topics that an anonymous client may use; null or undefined for all. */
  readonly topics?: readonly string[] | null;
}

/** Rules for storing a message if its target is not connected. Without them, those of the mailbox apply. */
export interface Storage {
  /** Upper bound of the time, beside the mailbox TTL, in milliseconds; 0 drops the message without a notice. */
  readonly maxTtlMs: number;
  /** True if all messages of the sender for the target expire with it, with one notice. */
  readonly expiresTogether: boolean;
}

/** The content of a message, as its receivers get it. */
export interface Content {
  /** Its `type`; undefined if that is not a string. */
  readonly type: string | undefined;
  /** Its size as received, in bytes of UTF-8. */
  readonly bytes: number;
  /** The text for the receivers, in the sender's dialect. */
  readonly text: string;
  readonly storage?: Storage | undefined;
}

/** A message that the server has received. */
export interface Message extends Content {
  /** Time of arrival, in milliseconds of the server's clock. */
  readonly receivedAtMs: number;
}

/** The command that a client's message stands for. */
export type Command =
  | { readonly kind: "register"; readonly registration: Registration }
  | ({ readonly kind: "send"; readonly targetId: string } & Content)
  | ({ readonly kind: "broadcast" } & Content)
  | { readonly kind: "subscribe" | "unsubscribe"; readonly topics: readonly string[] }
  | {
    readonly kind: "publish";
    readonly topic: string;
    readonly type: string | undefined;
    readonly bytes: number;
    /** Returns the text for this number of subscribers. */
    textFor(subscribers: number): string;
  }
  | { readonly kind: "reply"; readonly text: string }
  | { readonly kind: "ignore" };

/** A notice of a failure. */
export interface ErrorNotice {
  readonly kind: "error";
  readonly code: ErrorCode;
  readonly message: string;
  /** The target of the message that failed; undefined if it had none. */
  readonly targetId?: string | undefined;
  /** The longest time after which the client may succeed, in milliseconds; undefined if that is not known. */
  readonly retryAfterMs?: number | undefined;
}

/** A message from the server itself to one client. */
export type Notice =
  | {
    readonly kind: "registered";
    readonly clientId: string;
    readonly room: string;
    /** The others in the room; undefined without presence. */
    readonly peers: readonly string[] | undefined;
    /** The resume secret; undefined if the client did not ask for one, or resuming is off. */
    readonly secret: string | undefined;
    readonly resumed: boolean;
    readonly iceServers: readonly unknown[] | undefined;
  }
  | ErrorNotice
  | { readonly kind: "peer_joined" | "peer_left"; readonly clientId: string }
  | {
    readonly kind: "peers_changed";
    readonly left: readonly string[];
    readonly joined: readonly string[];
  };

/** The response to a plain HTTP request. */
export interface HttpResponse {
  readonly status: number;
  /** The media type. */
  readonly type: string;
  readonly body: string;
}

/** Translates between the protocol of one kind of client and the relay. Keeps no state. */
export interface Dialect {
  /** Null for the core protocol. */
  readonly name: string | null;
  /** The namespace of clients that never register and get random IDs; undefined if they register. */
  readonly anonymousRoom?: string;
  /** Returns whether a client that opens this URL speaks the dialect. Undefined if URLs decide nothing. */
  readonly acceptsUrl?: (url: string) => boolean;
  /**
   * Reads the registration in an accepted URL.
   *
   * @throws {ProtocolError} if the URL lacks something
   */
  readonly decodeUrl?: (url: URL) => Command;
  /** Answers a plain GET request of its clients; null if the path is not the dialect's. */
  readonly answerHttp?: (
    pathname: string,
    listIds: (room: string) => Promise<readonly string[]>,
  ) => Promise<HttpResponse> | null;
  /** True if a client of an accepted URL may speak another dialect, as its first message shows. */
  readonly isTentative?: true;
  /** Returns whether a first message shows that its client speaks the dialect. */
  accepts(firstMessage: string): boolean;
  /** Returns the sender as {@link Dialect.decode} writes it into each message of this client. Called once a session. */
  sender(clientId: string): string;
  /**
   * Reads a message of a client.
   *
   * @param sender what {@link Dialect.sender} returned; null before the client has registered
   * @throws {ProtocolError} if the message is malformed
   */
  decode(text: string, sender: string | null): Command;
  /** Writes a notice for a client; null if the dialect cannot express it. */
  encode(notice: Notice, clientId: string): string | null;
  /** Returns the target of a refused message, at little cost; undefined if there is none. */
  targetOf(text: string): string | undefined;
}

const MAX_ID_CODE_POINTS = 128;
/** U+0000 to U+001F and U+007F to U+009F. */
const CONTROL_CHARACTER = /\p{Cc}/u;

/** Returns whether `value` can be a client's ID: 1 to 128 code points, no control characters, no lone surrogates. */
export function isClientId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && isShort(value) &&
    !CONTROL_CHARACTER.test(value) && value.isWellFormed();
}

/** Counts code points only if needed: each takes one or two code units. */
function isShort(text: string): boolean {
  return text.length <= MAX_ID_CODE_POINTS ||
    (text.length <= 2 * MAX_ID_CODE_POINTS && [...text].length <= MAX_ID_CODE_POINTS);
}

/** Upper bound of the bytes that UTF-8 takes for one UTF-16 code unit. */
export const MAX_UTF8_BYTES_PER_UNIT = 3;

/** Returns the key of a client of a room in a map. Neither a room's name nor an ID has control characters. */
export function clientKey(room: string, id: string): string {
  return `${room}\0${id}`;
}

/** Stands for a value of a message that was not parsed: an object, an array, or a text that is too long. */
export class Unread {
  /** @param kind the kind of the value, such as `an object` or `a string of 70000 characters` */
  constructor(readonly kind: string) {}
}

/** Quotes a value for an error message. Long values are shortened; objects and arrays are named by their kind. */
export function describe(value: unknown): string {
  if (value instanceof Unread) return value.kind;
  if (value === undefined) return "nothing";
  if (typeof value === "number") return String(value); // JSON.stringify has no text for 1e400
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  const json = JSON.stringify(value);
  return json.length <= 80 ? json : `${json.slice(0, 80).toWellFormed()}…`;
}
