/** What happens is logged in the words that OPERATING.md promises, and never with what a client sent beside its names. */

import assert from "node:assert/strict";
import type { ClientInfo, Events, Message } from "../lib/events.ts";
import { createLog, type Format, type Level, type Log } from "../lib/log.ts";
import { logEvents } from "../lib/log_events.ts";
import { testPure } from "./helpers/pure.ts";

const sender: ClientInfo = { id: "sender_001", roomName: "", address: "192.0.2.1" };
const inLobby: ClientInfo = { id: "sender_001", roomName: "lobby", address: "2001:db8::1" };
const stranger = { address: "192.0.2.9" };

function message(type: string | undefined): Message {
  return { type, bytes: 34, receivedAtMs: 0 };
}

/** The lines that are written while `happen` is told events. */
function linesOf(level: Level, format: Format, happen: (events: Events) => void): string[] {
  const lines: string[] = [];
  happen(logEvents(createLog(level, format, (line) => lines.push(line))));
  return lines;
}

const textOf = (happen: (events: Events) => void) => linesOf("debug", "text", happen);

function jsonOf(happen: (events: Events) => void): Record<string, unknown>[] {
  return linesOf("debug", "json", happen).map((line) => {
    const { time: _, ...rest } = JSON.parse(line);
    return rest;
  });
}

testPure("the lines that users of the protocol know, to the letter", () => {
  const lines = linesOf("info", "text", (events) => {
    events.registered(sender);
    events.sent(sender, "receiver_001", message("offer"));
    events.kept(sender, "receiver_001", message("offer"));
    events.broadcast(sender, 3, message("offer"));
    events.unregistered(sender);
  });
  assert.deepEqual(lines, [
    "INFO - ✅ Client registered: sender_001",
    "INFO - 📤 Message sent to receiver_001: offer",
    "INFO - 📥 Message kept for receiver_001: offer",
    "INFO - 📢 Message broadcast to 3 clients: offer",
    "INFO - ❌ Client unregistered: sender_001",
  ]);
});

testPure("all other lines", () => {
  const lines = textOf((events) => {
    events.connected("192.0.2.9");
    events.disconnected("192.0.2.9", 1001, null);
    events.held(sender);
    events.keptDelivered(sender);
    events.failed("target_not_found", sender);
    events.failed("invalid_message", stranger);
    events.closing("replaced", sender);
    events.closing("overloaded", sender);
    events.closing("rate_limited", stranger);
    events.closing("disconnected", sender);
    events.clusterJoined();
    events.clusterLost("Redis cannot be reached: connection refused");
    events.listenerFailed(new Error("Too many open files"));
  });
  assert.deepEqual(lines, [
    "DEBUG - Connection opened: 192.0.2.9",
    "DEBUG - Connection closed: 192.0.2.9 (1001)",
    "INFO - ⏳ Client lost, ID held: sender_001",
    "DEBUG - Kept message delivered to sender_001",
    "DEBUG - Error sent to sender_001: target_not_found",
    "DEBUG - Error sent to 192.0.2.9: invalid_message",
    "DEBUG - Closing sender_001: replaced",
    "WARN - Closing sender_001: overloaded",
    "WARN - Closing 192.0.2.9: rate_limited",
    "WARN - Closing sender_001: disconnected",
    "INFO - Joined the cluster",
    "WARN - Serving alone, trying again: Redis cannot be reached: connection refused",
    "ERROR - Listening failed, trying again: Too many open files",
  ]);
});

testPure("JSON lines carry the fields", () => {
  const client = { client_id: "sender_001", room: "lobby", address: "2001:db8::1" };
  const sent = { type: "offer", bytes: 34 };
  const lines = jsonOf((events) => {
    events.registered(inLobby);
    events.sent(inLobby, "bob", message("offer"));
    events.kept(inLobby, "bob", message("offer"));
    events.broadcast(inLobby, 3, message("offer"));
    events.failed("mailbox_full", inLobby);
    events.closing("overloaded", stranger);
    events.disconnected("192.0.2.9", 1005, null);
  });
  assert.deepEqual(lines.map(({ level: _, msg: __, ...fields }) => fields), [
    client,
    { ...client, target_id: "bob", ...sent },
    { ...client, target_id: "bob", ...sent },
    { ...client, ...sent },
    { ...client, code: "mailbox_full" },
    { address: "192.0.2.9", code: "overloaded" },
    { address: "192.0.2.9", code: 1005 },
  ]);
  assert.equal(lines[1]?.msg, "📤 Message sent to bob: offer");
});

testPure("the default room has no name in JSON", () => {
  const [line] = jsonOf((events) => events.registered(sender));
  assert.deepEqual(Object.keys(line ?? {}), ["level", "msg", "client_id", "address"]);
});

testPure("a message without a type is logged as unknown", () => {
  assert.deepEqual(textOf((events) => events.sent(sender, "bob", message(undefined))), [
    "INFO - 📤 Message sent to bob: unknown",
  ]);
});

testPure("a long type is cut, and never in the middle of a character", () => {
  const type = `${"x".repeat(63)}😀${"y".repeat(1000)}`;
  const [line] = textOf((events) => events.broadcast(sender, 1, message(type)));
  assert.equal(line, `INFO - 📢 Message broadcast to 1 clients: ${"x".repeat(63)}\ufffd…`);
});

testPure("neither ID nor type can forge a line or be taken for a template", () => {
  const hostile = "{client_id}\nERROR - \x1b[31mforged\x9b\u2028";
  const written = "{client_id}\\u000aERROR - \\u001b[31mforged\\u009b\\u2028";
  const client = { ...sender, id: hostile };
  const lines = textOf((events) => {
    events.registered(client);
    events.sent(client, hostile, message(hostile));
  });
  assert.deepEqual(lines, [
    `INFO - ✅ Client registered: ${written}`,
    `INFO - 📤 Message sent to ${written}: ${written}`,
  ]);
  const [json] = jsonOf((events) => events.sent(client, hostile, message(hostile)));
  assert.deepEqual([json?.client_id, json?.target_id, json?.type], [hostile, hostile, hostile]);
});

testPure("a mistake is logged in one line, with its stack", () => {
  const [line, ...others] = textOf((events) => events.crashed("message", new Error("oh no")));
  assert.match(
    line!,
    /^ERROR - A mistake in signalbox \(message\), please report it: Error: oh no\\u000a +at /,
  );
  assert.deepEqual(others, []);
  assert.deepEqual(textOf((events) => events.crashed("promise", "oh no")), [
    "ERROR - A mistake in signalbox (promise), please report it: oh no",
  ]);
});

testPure("nothing is built for a level that is off", () => {
  const untouchable = new Proxy({} as ClientInfo & Message, {
    get: () => assert.fail("it was looked at"),
    has: () => assert.fail("it was looked at"),
  });
  const log: Log = {
    enabled: () => false,
    write: () => assert.fail("it was written"),
  };
  const events = logEvents(log);
  events.connected("192.0.2.1");
  events.disconnected("192.0.2.1", 1000, null);
  events.registered(untouchable);
  events.held(untouchable);
  events.unregistered(untouchable);
  events.sent(untouchable, "bob", untouchable);
  events.kept(untouchable, "bob", untouchable);
  events.keptDelivered(untouchable);
  events.broadcast(untouchable, 1, untouchable);
  events.failed("target_not_found", untouchable);
  events.closing("replaced", untouchable);
  events.closing("overloaded", untouchable);
});

testPure("each level writes what belongs to it and to graver ones", () => {
  const counts = (["debug", "info", "warn", "error"] as const).map((level) =>
    linesOf(level, "text", (events) => {
      events.connected("192.0.2.1");
      events.registered(sender);
      events.closing("overloaded", sender);
      events.listenerFailed("no more files");
    }).length
  );
  assert.deepEqual(counts, [4, 3, 2, 1]);
});
