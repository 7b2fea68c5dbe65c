/**
 * A program: has many messages stored, each for a target of its own, and prints what memory that took. To be run with
 * `--v8-flags=--expose-gc`; the arguments are the kind of message and their number.
 */

import { systemClock } from "../../lib/clock.ts";
import { signalbox } from "../../lib/dialects/signalbox.ts";
import { Capacity } from "../../lib/relay/capacity.ts";
import { LocalDirectory } from "../../lib/relay/directory.ts";
import { Router } from "../../lib/relay/router.ts";
import type { Session, SessionConnection } from "../../lib/relay/session.ts";
import { ignoreEvents } from "./events.ts";

const LONG_ID = "🙂".repeat(120);
/** More than those whose budgets together are the bound in all. */
const ADDRESSES = 20;

interface Kind {
  /** The nth target, and more. */
  readonly message: (n: number) => readonly [targetId: string, more: string];
  /** True if each message has a sender of its own, which leaves at once. */
  readonly hasManySenders?: true;
}

/** Messages of an attacker. */
const KINDS: Readonly<Record<string, Kind>> = {
  "next to nothing": { message: (n) => [`t${n}`, ""] },
  "many senders": { message: (n) => [`t${n}`, ""], hasManySenders: true },
  "long IDs": { message: (n) => [`${LONG_ID}${n.toString(36)}`, ""] },
  "middling IDs, 10 KB of ASCII": {
    message: (n) => [`${"t".repeat(50)}${n}`, "a".repeat(10_000)],
  },
  "1 KB of ASCII": { message: (n) => [`t${n}`, "a".repeat(1000)] },
  "1 KB with one wide character": { message: (n) => [`t${n}`, `${"a".repeat(1000)}🙂`] },
};

const collectGarbage = (globalThis as unknown as { gc(): void }).gc;

function usedBytes(): number {
  collectGarbage();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

const day = 86_400_000;
const options = {
  onDuplicate: "replace",
  mailboxTtlMs: day,
  resumeTtlMs: 0,
  maxConnections: 0,
  maxConnectionsPerIp: 0,
} as const;
const router = new Router(
  options,
  new Capacity(options),
  systemClock,
  ignoreEvents,
  (router) => new LocalDirectory(options, router, systemClock, ignoreEvents),
);

/** Attaches a sender with the nth address. */
function attach(n: number): { readonly session: Session; leave(): void } {
  const connection: SessionConnection = {
    address: `2001:db8:0:${(n % ADDRESSES).toString(16)}::1`,
    dialect: null,
    isOpen: true,
    attached() {},
    send: () => true,
    notify: () => true,
    replaced() {},
  };
  const clientId = `s${n}`;
  const usual = { presence: false, resume: false, token: undefined } as const;
  const registration = { ...usual, clientId, room: LONG_ID };
  const session = router.attach(registration, connection, { resumed: false, secret: null });
  return { session, leave: () => router.detach(session, connection, false, null) };
}

function store(session: Session, [targetId, more]: readonly [string, string]): void {
  const text = `{"target_id":"${targetId}","more":"${more}"}`;
  const command = signalbox.decode(text, signalbox.sender(session.id));
  if (command.kind !== "send") throw new Error("no message to one client");
  router.directory.forward(session, targetId, { ...command, receivedAtMs: 0 });
}

const [name = "", count = "0"] = Deno.args;
const { message, hasManySenders } = KINDS[name]!;
const senders = Array.from({ length: ADDRESSES }, (_, n) => attach(n));
const before = usedBytes();
for (let n = 0; n < Number(count); n++) {
  if (hasManySenders) {
    const { session, leave } = attach(ADDRESSES + n);
    store(session, message(n));
    leave();
  } else {
    store(senders[n % ADDRESSES]!.session, message(n));
  }
}
const { stored } = router.directory;
console.log(JSON.stringify({ stored, usedBytes: usedBytes() - before }));
Deno.exit(0);
