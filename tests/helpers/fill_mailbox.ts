/**
 * A program: has many messages kept, each for a client of its own, and prints what memory that took. To be run with
 * `--v8-flags=--expose-gc`; the arguments are the kind of message and how many.
 */

import { systemClock } from "../../lib/clock.ts";
import { readEnvelope } from "../../lib/dialects/envelope.ts";
import { Router } from "../../lib/relay/router.ts";
import { ignoreEvents } from "./events.ts";

const LONG_ID = "🙂".repeat(120);

/** What an attacker might send: the ID of the nth target, and more. */
const KINDS: Readonly<Record<string, (n: number) => readonly [id: string, more: string]>> = {
  "next to nothing": (n) => [`t${n}`, ""],
  "long IDs": (n) => [`${LONG_ID}${n.toString(36)}`, ""],
  "1 KB of ASCII": (n) => [`t${n}`, "a".repeat(1000)],
  "1 KB with one wide character": (n) => [`t${n}`, `${"a".repeat(1000)}🙂`],
};

const collectGarbage = (globalThis as unknown as { gc(): void }).gc;

function usedBytes(): number {
  collectGarbage();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

function newSender(router: Router) {
  const options = { clientId: "alice", presence: false, resume: false, token: undefined };
  const link = { address: "", isServed: true, entered() {}, send: () => true, replaced() {} };
  return router.enter({ ...options, room: LONG_ID }, link, { resumed: false, secret: null });
}

const [kind = "", count = "0"] = Deno.args;
const day = 86_400_000;
const options = { onDuplicate: "replace", mailboxTtlMs: day, resumeTtlMs: 0 } as const;
const router = new Router(options, systemClock, ignoreEvents);
const sender = newSender(router);
const before = usedBytes();
for (let n = 0; n < Number(count); n++) {
  const [targetId, more] = KINDS[kind]!(n);
  const text = `{"target_id":"${targetId}","more":"${more}"}`;
  router.send(sender, targetId, readEnvelope(text, sender.from).text);
}
const report = { kind, sent: Number(count), kept: router.kept, usedBytes: usedBytes() - before };
console.log(JSON.stringify(report));
Deno.exit(0);
