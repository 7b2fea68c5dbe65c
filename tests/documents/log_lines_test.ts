/** The table of log lines is what the program writes. */

import assert from "node:assert/strict";
import type { ClientInfo, Event } from "../../lib/events.ts";
import { createLog } from "../../lib/log.ts";
import { createEventLog } from "../../lib/log_events.ts";
import { FakeClock } from "../helpers/clock.ts";
import { codeIn, readDocument, tableUnder } from "../helpers/documents.ts";

const TOP = new URL("../../", import.meta.url).pathname;
const client: ClientInfo = { id: "alice", roomName: "lobby", address: "192.0.2.1", dialect: null };
const message = { type: "offer", bytes: 34, receivedAtMs: 0 };

/** One of each kind: a new kind of event does not compile before it is here. */
const EVENTS: { readonly [Kind in Event["kind"]]: Extract<Event, { readonly kind: Kind }> } = {
  connection_opened: { kind: "connection_opened", address: "192.0.2.1" },
  connection_closed: {
    kind: "connection_closed",
    address: "192.0.2.1",
    code: 1000,
    reason: null,
  },
  connection_refused: {
    kind: "connection_refused",
    address: "192.0.2.1",
    status: 403,
    message: "Why.",
  },
  client_refused: {
    kind: "client_refused",
    address: "192.0.2.1",
    code: "not_registered",
    message: "Why.",
  },
  registered: { kind: "registered", client },
  detached: { kind: "detached", client, reason: null },
  unregistered: { kind: "unregistered", client, reason: null },
  sent: { kind: "sent", from: client, targetId: "bob", message },
  stored: { kind: "stored", from: client, targetId: "bob", message },
  stored_delivered: { kind: "stored_delivered", client },
  broadcast: { kind: "broadcast", from: client, recipients: 3, message },
  error_sent: { kind: "error_sent", code: "target_not_found", subject: client },
  closing: { kind: "closing", reason: "replaced", subject: client },
  cluster_joined: { kind: "cluster_joined" },
  cluster_lost: { kind: "cluster_lost", reason: "why" },
  warning: {
    kind: "warning",
    message: 'A proxy sent an address that is none, "x", in X-Forwarded-For or X-Real-IP. Why.',
  },
  listener_failed: { kind: "listener_failed", error: new Error("why") },
  internal_error: { kind: "internal_error", where: "test", error: new Error("why") },
};

interface DocumentedLine {
  readonly level: string;
  readonly text: string;
  readonly fields: readonly string[];
}

function readTable(): DocumentedLine[] {
  let level = "";
  return tableUnder(readDocument("operating"), "Logs").map(([levelCell, line, fields]) => {
    level = codeIn(levelCell!)[0] ?? level;
    return { level, text: codeIn(line!)[0]!, fields: codeIn(fields!) };
  });
}

const documented = readTable();

/** Returns whether a line has the form of a documented one: what stands between `<` and `>` may be anything. */
function fits(line: string, { text }: DocumentedLine): boolean {
  const pattern = text.split(/<[^>]+>|…/).map(RegExp.escape).join("[^]*");
  return new RegExp(`^${pattern}$`).test(line);
}

function linesOf(event: Event): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  const log = createLog("debug", "json", (line) => lines.push(JSON.parse(line)));
  createEventLog(log, new FakeClock())(event);
  return lines;
}

for (const event of Object.values(EVENTS)) {
  Deno.test(`operating.md has the log line of ${event.kind}, with its fields`, () => {
    const lines = linesOf(event);
    assert.equal(lines.length, 1);
    const { level, msg, time: _, ...fields } = lines[0]!;
    const rows = documented.filter((row) => row.level === level && fits(String(msg), row));
    assert.ok(rows.length > 0, String(msg));
    assert.ok(
      rows.some((row) => isEqual(row.fields, Object.keys(fields))),
      `${msg}: ${Object.keys(fields)}`,
    );
  });
}

function isEqual(one: readonly string[], other: readonly string[]): boolean {
  return one.toSorted().join() === other.toSorted().join();
}

function sources(): string[] {
  const read = (folder: string): string[] =>
    [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
      isDirectory
        ? read(`${folder}/${name}`)
        : name.endsWith(".ts")
        ? Deno.readTextFileSync(`${folder}/${name}`)
        : []
    );
  return [Deno.readTextFileSync(`${TOP}main.ts`), ...read(`${TOP}lib`)];
}

Deno.test("every log line in operating.md is of an event, or in the source", () => {
  const source = sources().join("\n").replaceAll(/["`] \+\s*["`]/g, "");
  const ofEvents = Object.values(EVENTS).flatMap((event) => linesOf(event));
  for (const row of documented) {
    if (ofEvents.some(({ msg }) => fits(String(msg), row))) continue;
    const { text } = row;
    const fixed = text.split(/<[^>]+>|…/).toSorted((one, other) => other.length - one.length)[0]!;
    assert.ok(source.includes(fixed.trimEnd()), text);
  }
});

Deno.test("every message that the source writes to the log is in operating.md", () => {
  for (const source of sources()) {
    if (source.includes("function createEventLog")) continue; // its lines are those of EVENTS
    const written = /\.write\(\s*"\w+",\s*(?:"([^"]+)"|`([^`]+)`)/g;
    for (const [, plain, template] of source.matchAll(written)) {
      const line = plain ?? template!.replaceAll(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, "x");
      assert.ok(documented.some((row) => fits(line, row)), line);
    }
  }
});
