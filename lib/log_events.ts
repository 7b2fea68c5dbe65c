/** Writes events as log lines. */

import type { Clock } from "./clock.ts";
import type { ClientInfo, Emit, Event, MessageInfo, Subject } from "./events.ts";
import { type Fields, type Level, type Log, messageOf } from "./log.ts";
import type { CloseReason } from "./relay/vocabulary.ts";

const MAX_TYPE_CHARS = 64;
/** Upper bound of the lines about refused connections and clients, in each second. */
const MAX_REFUSALS_PER_SECOND = 10;

/** The close reasons that are logged as warnings. */
const NOTEWORTHY: readonly CloseReason[] = [
  "disconnected",
  "overloaded",
  "rate_limited",
  "internal_error",
];

/** Creates a function that writes each event to `log`, and builds no line for a level that is off. */
export function createEventLog(log: Log, clock: Clock): Emit {
  const info = log.enabled("info");
  const debug = log.enabled("debug");
  const refusals = new Refusals(log, clock);
  return (event) => {
    switch (event.kind) {
      case "registered":
      case "detached":
      case "unregistered":
        if (info) log.write("info", clientLine(event), () => clientFields(event.client));
        return;
      case "sent":
        if (info) writeMessage(log, "📤 Message sent to", event);
        return;
      case "stored":
        if (info) writeMessage(log, "📥 Message kept for", event);
        return;
      case "broadcast":
        if (info) writeBroadcast(log, event);
        return;
      case "connection_refused":
      case "client_refused":
        if (info) refusals.write(event);
        return;
      case "connection_opened":
      case "connection_closed":
      case "stored_delivered":
      case "error_sent":
        if (debug) writeDetail(log, event);
        return;
      default:
        writeTrouble(log, event);
    }
  };
}

type Of<Kind extends Event["kind"]> = Extract<Event, { readonly kind: Kind }>;

function clientLine(event: Of<"registered" | "detached" | "unregistered">): string {
  const { id } = event.client;
  if (event.kind === "registered") return `✅ Client registered: ${id}`;
  const what = event.kind === "detached"
    ? "⏳ Client disconnected, ID held"
    : "❌ Client unregistered";
  return `${what}: ${id}${event.reason === null ? "" : ` (${event.reason})`}`;
}

function writeMessage(log: Log, what: string, event: Of<"sent" | "stored">): void {
  const { from, targetId, message } = event;
  const type = typeName(message);
  log.write("info", `${what} ${targetId}: ${type}`, () => ({
    ...clientFields(from),
    target_id: targetId,
    type,
    bytes: message.bytes,
  }));
}

function writeBroadcast(log: Log, { from, recipients, message }: Of<"broadcast">): void {
  const type = typeName(message);
  log.write("info", `📢 Message broadcast to ${recipients} clients: ${type}`, () => ({
    ...clientFields(from),
    type,
    bytes: message.bytes,
  }));
}

type Detail = Of<"connection_opened" | "connection_closed" | "stored_delivered" | "error_sent">;

function writeDetail(log: Log, event: Detail): void {
  switch (event.kind) {
    case "connection_opened": {
      const { address } = event;
      return log.write("debug", `Connection opened: ${address}`, () => ({ address }));
    }
    case "connection_closed": {
      const { address, code } = event;
      const message = `Connection closed: ${address} (${code})`;
      return log.write("debug", message, () => ({ address, code }));
    }
    case "stored_delivered": {
      const message = `Kept message delivered to ${event.client.id}`;
      return log.write("debug", message, () => clientFields(event.client));
    }
    case "error_sent": {
      const { code, subject } = event;
      const message = `Error sent to ${nameOf(subject)}: ${code}`;
      return log.write("debug", message, () => ({ ...subjectFields(subject), code }));
    }
  }
}

type Trouble = Of<
  "closing" | "cluster_joined" | "cluster_lost" | "warning" | "listener_failed" | "internal_error"
>;

function writeTrouble(log: Log, event: Trouble): void {
  switch (event.kind) {
    case "closing": {
      const { reason, subject } = event;
      const level: Level = NOTEWORTHY.includes(reason) ? "warn" : "debug";
      if (!log.enabled(level)) return;
      const message = `Closing ${nameOf(subject)}: ${reason}`;
      return log.write(level, message, () => ({ ...subjectFields(subject), code: reason }));
    }
    case "cluster_joined":
      return log.write("info", "Joined the cluster");
    case "cluster_lost":
      return log.write("warn", `Serving alone, trying again: ${event.reason}`);
    case "warning":
      return log.write("warn", event.message);
    case "listener_failed": {
      const message = `Listening failed, trying again: ${messageOf(event.error)}`;
      return log.write("error", message);
    }
    case "internal_error": {
      const message = `Internal error in signalbox (${event.where}), please report it`;
      return log.write("error", message, undefined, stackOf(event.error));
    }
  }
}

/** Writes a bounded number of refusals in a second, so that a flood of them does not fill the disk. */
class Refusals {
  readonly #log: Log;
  readonly #clock: Clock;
  #written = 0;
  #omitted = 0;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  write(event: Of<"connection_refused" | "client_refused">): void {
    if (this.#written === 0) this.#clock.after(1000, () => this.#startSecond());
    if (this.#written === MAX_REFUSALS_PER_SECOND) return void this.#omitted++;
    this.#written++;
    const { address, message } = event;
    const [what, code] = event.kind === "client_refused"
      ? ["Client", event.code] as const
      : ["Connection", event.status] as const;
    const line = `🚫 ${what} refused: ${address} (${code}): ${message}`;
    this.#log.write("info", line, () => ({ address, code }));
  }

  #startSecond(): void {
    const omitted = this.#omitted;
    this.#written = 0;
    this.#omitted = 0;
    if (omitted === 0) return;
    this.#log.write("info", `🚫 ${omitted} more refused within a second.`, () => ({ omitted }));
  }
}

function clientFields({ id, roomName, address }: ClientInfo): Fields {
  return { client_id: id, room: roomName || undefined, address };
}

function subjectFields(subject: Subject): Fields {
  return "id" in subject ? clientFields(subject) : { address: subject.address };
}

function nameOf(subject: Subject): string {
  return "id" in subject ? subject.id : subject.address;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

function typeName({ type }: MessageInfo): string {
  if (type === undefined) return "unknown";
  return type.length <= MAX_TYPE_CHARS ? type : `${type.slice(0, MAX_TYPE_CHARS).toWellFormed()}…`;
}
