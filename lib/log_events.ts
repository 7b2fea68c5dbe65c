/** Turns what happens into log lines: the one place that knows their wording. */

import { Buffer } from "node:buffer";
import type { Events, Forwarded } from "./events.ts";
import type { Log } from "./log.ts";

const MAX_TYPE_CHARS = 64;

/** Events that write to `log`. Nothing is built for a level that is off. */
export function logEvents(log: Log): Events {
  return {
    connected(address) {
      if (log.enabled("debug")) {
        log.write("debug", `Connection opened: ${address}`, () => ({ address }));
      }
    },
    disconnected(address, code) {
      if (!log.enabled("debug")) return;
      log.write("debug", `Connection closed: ${address} (${code})`, () => ({ address, code }));
    },
    registered({ id, address }) {
      if (!log.enabled("info")) return;
      log.write("info", `✅ Client registered: ${id}`, () => ({ client_id: id, address }));
    },
    unregistered({ id, address }) {
      if (!log.enabled("info")) return;
      log.write("info", `❌ Client unregistered: ${id}`, () => ({ client_id: id, address }));
    },
    sent(from, targetId, message) {
      if (!log.enabled("info")) return;
      const type = typeName(message);
      log.write("info", `📤 Message sent to ${targetId}: ${type}`, () => ({
        client_id: from.id,
        target_id: targetId,
        type,
        bytes: Buffer.byteLength(message.text),
      }));
    },
    broadcast(from, recipients, message) {
      if (!log.enabled("info")) return;
      const type = typeName(message);
      log.write("info", `📢 Message broadcast to ${recipients} clients: ${type}`, () => ({
        client_id: from.id,
        type,
        bytes: Buffer.byteLength(message.text),
      }));
    },
    failed(code, address, clientId) {
      if (!log.enabled("debug")) return;
      const who = clientId ?? address;
      log.write("debug", `Error sent to ${who}: ${code}`, () => ({
        code,
        address,
        client_id: clientId,
      }));
    },
    listenerFailed(error) {
      log.write("error", `Cannot listen, trying again: ${errorMessage(error)}`, () => ({}));
    },
    crashed(where, error) {
      const stack = error instanceof Error ? error.stack ?? error.message : String(error);
      log.write(
        "error",
        `A mistake in signalbox, please report it: ${where}: ${stack}`,
        () => ({}),
      );
    },
  };
}

function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function typeName({ type }: Forwarded): string {
  if (typeof type !== "string") return "unknown";
  return type.length <= MAX_TYPE_CHARS ? type : `${type.slice(0, MAX_TYPE_CHARS).toWellFormed()}…`;
}
