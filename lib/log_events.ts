/** Turns what happens into log lines: the one place that knows their wording. */

import type { ClientInfo, Events, Message, Subject } from "./events.ts";
import type { Fields, Level, Log } from "./log.ts";
import type { CloseReason } from "./relay/vocabulary.ts";

const MAX_TYPE_CHARS = 64;

/** Drops that an operator wants to know of; all others are the client's own affair. */
const NOTEWORTHY: readonly CloseReason[] = [
  "disconnected",
  "overloaded",
  "rate_limited",
  "internal_error",
];

/** Events that write to `log`. Nothing is built for a level that is off. */
export function logEvents(log: Log): Events {
  const info = log.enabled("info");
  const debug = log.enabled("debug");
  return {
    connected(address) {
      if (debug) log.write("debug", `Connection opened: ${address}`, () => ({ address }));
    },
    disconnected(address, code) {
      if (!debug) return;
      log.write("debug", `Connection closed: ${address} (${code})`, () => ({ address, code }));
    },
    registered(client) {
      if (info) log.write("info", `✅ Client registered: ${client.id}`, () => clientFields(client));
    },
    held(client) {
      if (!info) return;
      log.write("info", `⏳ Client lost, ID held: ${client.id}`, () => clientFields(client));
    },
    unregistered(client) {
      if (info) {
        log.write("info", `❌ Client unregistered: ${client.id}`, () => clientFields(client));
      }
    },
    sent(from, targetId, message) {
      if (info) writeMessage(log, "📤 Message sent to", from, targetId, message);
    },
    kept(from, targetId, message) {
      if (info) writeMessage(log, "📥 Message kept for", from, targetId, message);
    },
    keptDelivered(client) {
      if (!debug) return;
      log.write("debug", `Kept message delivered to ${client.id}`, () => clientFields(client));
    },
    broadcast(from, recipients, message) {
      if (!info) return;
      const type = typeName(message);
      log.write("info", `📢 Message broadcast to ${recipients} clients: ${type}`, () => ({
        ...clientFields(from),
        type,
        bytes: message.bytes,
      }));
    },
    failed(code, subject) {
      if (!debug) return;
      const message = `Error sent to ${nameOf(subject)}: ${code}`;
      log.write("debug", message, () => ({ ...subjectFields(subject), code }));
    },
    closing(reason, subject) {
      const level: Level = NOTEWORTHY.includes(reason) ? "warn" : "debug";
      if (!log.enabled(level)) return;
      const message = `Closing ${nameOf(subject)}: ${reason}`;
      log.write(level, message, () => ({ ...subjectFields(subject), code: reason }));
    },
    clusterJoined() {
      log.write("info", "Joined the cluster", () => ({}));
    },
    clusterLost(reason) {
      log.write("warn", `Serving alone, trying again: ${reason}`, () => ({}));
    },
    listenerFailed(error) {
      log.write("error", `Listening failed, trying again: ${messageOf(error)}`, () => ({}));
    },
    crashed(where, error) {
      const stack = error instanceof Error ? error.stack ?? error.message : String(error);
      log.write(
        "error",
        `A mistake in signalbox (${where}), please report it: ${stack}`,
        () => ({}),
      );
    },
  };
}

function writeMessage(
  log: Log,
  what: string,
  from: ClientInfo,
  targetId: string,
  message: Message,
): void {
  const type = typeName(message);
  log.write("info", `${what} ${targetId}: ${type}`, () => ({
    ...clientFields(from),
    target_id: targetId,
    type,
    bytes: message.bytes,
  }));
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function typeName({ type }: Message): string {
  if (type === undefined) return "unknown";
  return type.length <= MAX_TYPE_CHARS ? type : `${type.slice(0, MAX_TYPE_CHARS).toWellFormed()}…`;
}
