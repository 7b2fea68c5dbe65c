/** The words of the wire: what a client registers with, what the server answers, and why it closes. */

/** Close codes of WebSocket (RFC 6455 section 7.4.1; 4000 and above are an application's own). */
const CLOSE = {
  UNSUPPORTED_DATA: 1003,
  POLICY_VIOLATION: 1008,
  MESSAGE_TOO_BIG: 1009,
  INTERNAL_ERROR: 1011,
  SERVICE_RESTART: 1012,
  TRY_AGAIN_LATER: 1013,
  CONFLICT: 4409,
} as const;

/**
 * The code with which each reason closes a connection. A reason is also the close frame's reason and, but for the
 * last three, the `code` of the error frame that goes before it.
 */
export const CLOSE_CODES = {
  invalid_message: CLOSE.POLICY_VIOLATION,
  not_registered: CLOSE.POLICY_VIOLATION,
  register_timeout: CLOSE.POLICY_VIOLATION,
  invalid_client_id: CLOSE.POLICY_VIOLATION,
  rate_limited: CLOSE.POLICY_VIOLATION,
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

/** Reasons of which the client hears in the close frame alone. */
type SilentReason = "shutting_down" | "overloaded" | "internal_error";

/** Errors after which the connection stays open. */
type MildError = "already_registered" | "target_not_found";

/** The `code` of an error frame. */
export type ErrorCode = Exclude<CloseReason, SilentReason> | MildError;

/** What is wrong with a frame, for the error frame that answers it. */
export class ProtocolError extends Error {
  constructor(readonly code: ErrorCode, message: string) {
    super(message);
  }
}

/** A `register` frame, checked. */
export interface Registration {
  readonly clientId: string;
}

const MAX_ID_CODE_POINTS = 128;
/** U+0000 to U+001F and U+007F to U+009F. */
const CONTROL_CHARACTER = /\p{Cc}/u;

/** Whether `value` can be a client's ID: 1 to 128 code points, no control characters, no lone surrogates. */
export function isClientId(value: unknown): value is string {
  return typeof value === "string" && value !== "" &&
    value.length <= 2 * MAX_ID_CODE_POINTS && [...value].length <= MAX_ID_CODE_POINTS &&
    !CONTROL_CHARACTER.test(value) && value.isWellFormed();
}

/**
 * Reads the members of a `register` frame.
 *
 * @throws {ProtocolError} `invalid_client_id` where `client_id` is not one
 */
export function readRegistration(frame: Readonly<Record<string, unknown>>): Registration {
  const clientId = frame.client_id;
  if (!isClientId(clientId)) {
    throw new ProtocolError(
      "invalid_client_id",
      `client_id must be a string of 1 to ${MAX_ID_CODE_POINTS} characters without control characters, ` +
        `not ${describe(clientId)}.`,
    );
  }
  return { clientId };
}

/** The answer to a `register` that asked for nothing more. */
export function registeredFrame(clientId: string): string {
  return JSON.stringify({ type: "registered", client_id: clientId });
}

/** An error frame; `targetId` where the message that failed had one. */
export function errorFrame(code: ErrorCode, message: string, targetId?: string): string {
  return JSON.stringify({ type: "error", code, message, target_id: targetId });
}

/** A value as an error message quotes it: as JSON, and short. */
export function describe(value: unknown): string {
  const json = JSON.stringify(value) ?? "nothing";
  return json.length <= 80 ? json : `${json.slice(0, 80).toWellFormed()}…`;
}
