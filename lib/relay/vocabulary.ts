/** The words of the wire: what a client registers with, what the server answers, and why it closes. */

/** Close codes of WebSocket (RFC 6455 section 7.4.1; 4000 and above are an application's own). */
const CLOSE = {
  NORMAL_CLOSURE: 1000,
  UNSUPPORTED_DATA: 1003,
  NO_STATUS_RECEIVED: 1005,
  POLICY_VIOLATION: 1008,
  MESSAGE_TOO_BIG: 1009,
  INTERNAL_ERROR: 1011,
  SERVICE_RESTART: 1012,
  TRY_AGAIN_LATER: 1013,
  CONFLICT: 4409,
} as const;

/**
 * The code with which each reason closes a connection. A reason is also the close frame's reason and, but for the
 * silent ones, the `code` of the error frame that goes before it.
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
  replaced: CLOSE.CONFLICT,
  message_too_large: CLOSE.MESSAGE_TOO_BIG,
  unsupported_data: CLOSE.UNSUPPORTED_DATA,
  shutting_down: CLOSE.SERVICE_RESTART,
  overloaded: CLOSE.TRY_AGAIN_LATER,
  internal_error: CLOSE.INTERNAL_ERROR,
} as const;

/** Why the server closes a connection. */
export type CloseReason = keyof typeof CLOSE_CODES;

/** Reasons of which the client hears in the close frame alone. `disconnected`: by the operator. */
const SILENT_REASONS = ["disconnected", "shutting_down", "overloaded", "internal_error"] as const;
type SilentReason = (typeof SILENT_REASONS)[number];

/** Errors after which the connection stays open. */
const MILD_ERRORS = [
  "already_registered",
  "target_not_found",
  "mailbox_full",
  "unavailable",
] as const;

/** The `code` of an error frame. */
export type ErrorCode = Exclude<CloseReason, SilentReason> | (typeof MILD_ERRORS)[number];

/** Every code that an error frame can have. */
export const ERROR_CODES: readonly ErrorCode[] = [
  ...Object.keys(CLOSE_CODES).filter((reason): reason is Exclude<CloseReason, SilentReason> =>
    !SILENT_REASONS.includes(reason as SilentReason)
  ),
  ...MILD_ERRORS,
];

/** Whether a client that is closed for this reason gives its ID up, even if it asked for a resume. */
export function isFinal(reason: CloseReason): boolean {
  const code: number = CLOSE_CODES[reason];
  return code === CLOSE.UNSUPPORTED_DATA || code === CLOSE.POLICY_VIOLATION ||
    code === CLOSE.MESSAGE_TOO_BIG;
}

/** Whether a client that closes with this code gives its ID up; any other end may be an accident. */
export function isGoodbye(code: number): boolean {
  return code === CLOSE.NORMAL_CLOSURE || code === CLOSE.NO_STATUS_RECEIVED;
}

/** What is wrong with a frame, for the error frame that answers it. */
export class ProtocolError extends Error {
  constructor(readonly code: ErrorCode, message: string) {
    super(message);
  }
}

/** A `register` frame, checked. */
export interface Registration {
  readonly clientId: string;
  /** `""` is the default room, which has no name. */
  readonly room: string;
  readonly presence: boolean;
  /** Whether the ID shall be held when the connection is lost; the secret, where it is to be taken back. */
  readonly resume: boolean | string;
  /** The `token` member, of whatever type; undefined where there is none. */
  readonly token: unknown;
}

const MAX_ID_CODE_POINTS = 128;
/** U+0000 to U+001F and U+007F to U+009F. */
const CONTROL_CHARACTER = /\p{Cc}/u;

/** Whether `value` can be a client's ID: 1 to 128 code points, no control characters, no lone surrogates. */
export function isClientId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && isShort(value) &&
    !CONTROL_CHARACTER.test(value) && value.isWellFormed();
}

/** A code point takes one or two code units. */
function isShort(text: string): boolean {
  return text.length <= MAX_ID_CODE_POINTS ||
    (text.length <= 2 * MAX_ID_CODE_POINTS && [...text].length <= MAX_ID_CODE_POINTS);
}

/** Messages are UTF-8: so many bytes, and no more, one UTF-16 code unit of a string can take. */
export const MAX_UTF8_BYTES_PER_UNIT = 3;

/** Stands for a client of a room in a map. Neither a room's name nor an ID has control characters. */
export function clientKey(room: string, id: string): string {
  return `${room}\0${id}`;
}

/**
 * Reads the members of a `register` frame.
 *
 * @throws {ProtocolError} `invalid_client_id` where `client_id` or `room` is not one
 */
export function readRegistration(members: Readonly<Record<string, unknown>>): Registration {
  const { presence, resume, token } = members;
  return {
    clientId: readId("client_id", members.client_id),
    room: members.room === undefined || members.room === null ? "" : readId("room", members.room),
    presence: presence === true,
    resume: typeof resume === "string" || resume === true ? resume : false,
    token,
  };
}

function readId(name: string, value: unknown): string {
  if (isClientId(value)) return value;
  throw new ProtocolError(
    "invalid_client_id",
    `${name} must be a string of 1 to ${MAX_ID_CODE_POINTS} characters without control characters, ` +
      `not ${describe(value)}.`,
  );
}

/** What a client is told when it has registered. Only the first member is there for everybody. */
export interface RegisteredAnswer {
  readonly client_id: string;
  readonly room?: string | undefined;
  readonly peers?: readonly string[] | undefined;
  readonly resume?: string | undefined;
  readonly resumed?: boolean | undefined;
  readonly ice_servers?: readonly unknown[] | undefined;
}

export function registeredFrame(answer: RegisteredAnswer): string {
  return JSON.stringify({ type: "registered", ...answer });
}

/** Tells those who watch a room that somebody came or went. */
export function peerFrame(type: "peer_joined" | "peer_left", clientId: string): string {
  return JSON.stringify({ type, client_id: clientId });
}

/** What a client reads whose ID is another's. */
export function idTaken(clientId: string): string {
  return `Another client has the ID ${describe(clientId)}.`;
}

/** What the sender of a message reads whose target is not there. */
export function targetNotFound(targetId: string): string {
  return `No client ${describe(targetId)} is connected.`;
}

/** What the sender of a message reads for whose target no more is kept. */
export function mailboxFull(targetId: string): string {
  return `No more is kept for ${describe(targetId)}.`;
}

/** An error frame; `targetId` where the message that failed had one. */
export function errorFrame(code: ErrorCode, message: string, targetId?: string): string {
  return JSON.stringify({ type: "error", code, message, target_id: targetId });
}

/** A value as an error message quotes it: short, and what may be deep by its kind alone. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "number") return String(value); // 1e400 is no number in JSON.stringify
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  const json = JSON.stringify(value);
  return json.length <= 80 ? json : `${json.slice(0, 80).toWellFormed()}…`;
}
