/** Log lines of events, as operating.md lists them. Of a client's texts only IDs, rooms and types are logged. */

import assert from "node:assert/strict";
import type { ClientInfo, Event, MessageInfo } from "../lib/events.ts";
import { createLog, type Format, type Level, type Log } from "../lib/log.ts";
import { createEventLog } from "../lib/log_events.ts";
import { FakeClock } from "./helpers/clock.ts";
import { testPure } from "./helpers/pure.ts";

const sender: ClientInfo = { id: "sender_001", roomName: "", address: "192.0.2.1", dialect: null };
const inLobby: ClientInfo = { ...sender, roomName: "lobby", address: "2001:db8::1" };
const stranger = { address: "192.0.2.9" };

function message(type: string | undefined): MessageInfo {
  return { type, bytes: 34, receivedAtMs: 0 };
}

/** Lines that are written for events. */
function linesOf(level: Level, format: Format, events: readonly Event[]): string[] {
  const lines: string[] = [];
  const log = createLog(level, format, (line) => lines.push(line));
  events.forEach(createEventLog(log, new FakeClock()));
  return lines;
}

const textOf = (...events: readonly Event[]) => linesOf("debug", "text", events);

function jsonOf(...events: readonly Event[]): Record<string, unknown>[] {
  return linesOf("debug", "json", events).map((line) => {
    const { time: _, ...rest } = JSON.parse(line);
    return rest;
  });
}

testPure("the lines that users of the protocol know, to the letter", () => {
  const lines = linesOf("info", "text", [
    { kind: "registered", client: sender },
    { kind: "sent", from: sender, targetId: "receiver_001", message: message("offer") },
    { kind: "stored", from: sender, targetId: "receiver_001", message: message("offer") },
    { kind: "broadcast", from: sender, recipients: 3, message: message("offer") },
    { kind: "unregistered", client: sender, reason: null },
  ]);
  assert.deepEqual(lines, [
    "INFO - ✅ Client registered: sender_001",
    "INFO - 📤 Message sent to receiver_001: offer",
    "INFO - 📥 Message kept for receiver_001: offer",
    "INFO - 📢 Message broadcast to 3 clients: offer",
    "INFO - ❌ Client unregistered: sender_001",
  ]);
});

testPure("the end of a client has its reason, unless the client ended it itself", () => {
  const lines = textOf(
    { kind: "detached", client: sender, reason: "unanswered_ping" },
    { kind: "unregistered", client: sender, reason: "unanswered_ping" },
    { kind: "unregistered", client: sender, reason: "replaced" },
  );
  assert.deepEqual(lines, [
    "INFO - ⏳ Client disconnected, ID held: sender_001 (unanswered_ping)",
    "INFO - ❌ Client unregistered: sender_001 (unanswered_ping)",
    "INFO - ❌ Client unregistered: sender_001 (replaced)",
  ]);
});

testPure("all other lines", () => {
  const lines = textOf(
    { kind: "connection_opened", address: "192.0.2.9" },
    { kind: "connection_closed", address: "192.0.2.9", code: 1001, reason: null },
    { kind: "detached", client: sender, reason: null },
    { kind: "stored_delivered", client: sender },
    { kind: "error_sent", code: "target_not_found", subject: sender },
    { kind: "error_sent", code: "invalid_message", subject: stranger },
    { kind: "closing", reason: "replaced", subject: sender },
    { kind: "closing", reason: "overloaded", subject: sender },
    { kind: "closing", reason: "rate_limited", subject: stranger },
    { kind: "closing", reason: "disconnected", subject: sender },
    { kind: "cluster_joined" },
    { kind: "cluster_lost", reason: "Redis cannot be reached: connection refused" },
    { kind: "listener_failed", error: new Error("Too many open files") },
  );
  assert.deepEqual(lines, [
    "DEBUG - Connection opened: 192.0.2.9",
    "DEBUG - Connection closed: 192.0.2.9 (1001)",
    "INFO - ⏳ Client disconnected, ID held: sender_001",
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
  const lines = jsonOf(
    { kind: "registered", client: inLobby },
    { kind: "sent", from: inLobby, targetId: "bob", message: message("offer") },
    { kind: "stored", from: inLobby, targetId: "bob", message: message("offer") },
    { kind: "broadcast", from: inLobby, recipients: 3, message: message("offer") },
    { kind: "error_sent", code: "mailbox_full", subject: inLobby },
    { kind: "closing", reason: "overloaded", subject: stranger },
    { kind: "connection_closed", address: "192.0.2.9", code: 1005, reason: null },
  );
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
  const [line] = jsonOf({ kind: "registered", client: sender });
  assert.deepEqual(Object.keys(line ?? {}), ["level", "msg", "client_id", "address"]);
});

testPure("a message without a type is logged as unknown", () => {
  assert.deepEqual(
    textOf({ kind: "sent", from: sender, targetId: "bob", message: message(undefined) }),
    ["INFO - 📤 Message sent to bob: unknown"],
  );
});

testPure("a long type is cut, and never in the middle of a character", () => {
  const type = `${"x".repeat(63)}😀${"y".repeat(1000)}`;
  const [line] = textOf({ kind: "broadcast", from: sender, recipients: 1, message: message(type) });
  assert.equal(line, `INFO - 📢 Message broadcast to 1 clients: ${"x".repeat(63)}\ufffd…`);
});

testPure("neither ID nor type can forge a line or be taken for a template", () => {
  const hostile = "{client_id}\nERROR - \x1b[31mforged\x9b\u2028\u202e\u{e0041}";
  const written = "{client_id}\\u000aERROR - \\u001b[31mforged\\u009b\\u2028\\u202e\\udb40\\udc41";
  const client = { ...sender, id: hostile };
  const lines = textOf(
    { kind: "registered", client },
    { kind: "sent", from: client, targetId: hostile, message: message(hostile) },
  );
  assert.deepEqual(lines, [
    `INFO - ✅ Client registered: ${written}`,
    `INFO - 📤 Message sent to ${written}: ${written}`,
  ]);
  const [json] = jsonOf({
    kind: "sent",
    from: client,
    targetId: hostile,
    message: message(hostile),
  });
  assert.deepEqual([json?.client_id, json?.target_id, json?.type], [hostile, hostile, hostile]);
});

testPure("an internal error is logged with its stack, and its message cannot forge a line", () => {
  const error = new Error("oh\nERROR - forged");
  const [line] = textOf({ kind: "internal_error", where: "message", error });
  const [first, ...frames] = line!.split("\n");
  const said = "ERROR - Internal error in signalbox (message), please report it: ";
  assert.equal(first, `${said}Error: oh\\u000aERROR - forged`);
  assert.ok(frames.length > 0);
  for (const frame of frames) assert.match(frame, /^ {4}at /);
  assert.deepEqual(textOf({ kind: "internal_error", where: "promise", error: "oh no" }), [
    "ERROR - Internal error in signalbox (promise), please report it: oh no",
  ]);
});

const REFUSED: readonly Event[] = [
  {
    kind: "client_refused",
    address: "192.0.2.7",
    code: "not_registered",
    message: 'The first message must be {"type":"register",…}.',
  },
  {
    kind: "connection_refused",
    address: "192.0.2.7",
    status: 403,
    message: "Origin https://www.example.com is not allowed.",
  },
  { kind: "unregistered", client: sender, reason: "replaced" },
];

testPure("a refusal and a close by the server are logged with the reason", () => {
  assert.deepEqual(linesOf("info", "text", REFUSED), [
    "INFO - 🚫 Client refused: 192.0.2.7 (not_registered): " +
    'The first message must be {"type":"register",…}.',
    "INFO - 🚫 Connection refused: 192.0.2.7 (403): Origin https://www.example.com is not allowed.",
    "INFO - ❌ Client unregistered: sender_001 (replaced)",
  ]);
  const [client, connection] = jsonOf(...REFUSED);
  assert.deepEqual([client?.address, client?.code], ["192.0.2.7", "not_registered"]);
  assert.deepEqual([connection?.address, connection?.code], ["192.0.2.7", 403]);
});

testPure("at most 10 refusals a second are logged, and one line counts the others", () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const emit = createEventLog(createLog("info", "text", (line) => lines.push(line)), clock);
  const refuse = (times: number) => {
    for (let n = 0; n < times; n++) emit(REFUSED[n % 2]!);
  };
  refuse(17);
  assert.equal(lines.length, 10);
  clock.advance(1000);
  assert.deepEqual(lines.splice(0).slice(10), ["INFO - 🚫 7 more refused within a second."]);
  refuse(10);
  clock.advance(1000);
  assert.equal(lines.length, 10);
  assert.equal(clock.pending, 0);
});

testPure("nothing is built for a level that is off", () => {
  const untouchable = new Proxy({} as ClientInfo & MessageInfo, {
    get: () => assert.fail("it was looked at"),
    has: () => assert.fail("it was looked at"),
  });
  const log: Log = {
    enabled: () => false,
    write: () => assert.fail("it was written"),
  };
  const events: Event[] = [
    { kind: "connection_opened", address: "192.0.2.1" },
    { kind: "connection_closed", address: "192.0.2.1", code: 1000, reason: null },
    { kind: "registered", client: untouchable },
    { kind: "detached", client: untouchable, reason: null },
    { kind: "unregistered", client: untouchable, reason: null },
    { kind: "sent", from: untouchable, targetId: "bob", message: untouchable },
    { kind: "stored", from: untouchable, targetId: "bob", message: untouchable },
    { kind: "stored_delivered", client: untouchable },
    { kind: "broadcast", from: untouchable, recipients: 1, message: untouchable },
    { kind: "error_sent", code: "target_not_found", subject: untouchable },
    { kind: "closing", reason: "replaced", subject: untouchable },
    { kind: "closing", reason: "overloaded", subject: untouchable },
  ];
  events.forEach(createEventLog(log, new FakeClock()));
});

testPure("each level writes what belongs to it and to graver ones", () => {
  const counts = (["debug", "info", "warn", "error"] as const).map((level) =>
    linesOf(level, "text", [
      { kind: "connection_opened", address: "192.0.2.1" },
      { kind: "registered", client: sender },
      { kind: "closing", reason: "overloaded", subject: sender },
      { kind: "listener_failed", error: "no more files" },
    ]).length
  );
  assert.deepEqual(counts, [4, 3, 2, 1]);
});
