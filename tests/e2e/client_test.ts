/** The JavaScript client and a real server, in Deno: what only signaling needs. */

import assert from "node:assert/strict";
import { connect, type ConnectOptions, type Signaling } from "../../lib/web/clients/client.js";
import { RecordedEvents } from "../helpers/events.ts";
import { startServer } from "../helpers/server.ts";

/** Connects, and resolves once it is registered. */
async function register(
  url: string,
  clientId: string,
  options: Partial<ConnectOptions> = {},
): Promise<Signaling> {
  const signaling = connect(url, { clientId, ...options });
  await reached(signaling, "registered");
  return signaling;
}

function reached(signaling: Signaling, wanted: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = signaling.on("statechange", ({ state }) => {
      if (state !== wanted) return;
      stop();
      resolve();
    });
  });
}

/** Resolves once as many events of presence have come, written `+bob` and `-bob`. */
function presence(signaling: Signaling, count: number): Promise<string[]> {
  const lines: string[] = [];
  return new Promise((resolve) => {
    const add = (line: string) => {
      lines.push(line);
      if (lines.length === count) resolve(lines);
    };
    signaling.on("joined", ({ clientId }) => add(`+${clientId}`));
    signaling.on("left", ({ clientId }) => add(`-${clientId}`));
  });
}

/** Gives all IDs up, and resolves once the server has noticed. */
async function leave(events: RecordedEvents, ...all: Signaling[]): Promise<void> {
  for (const signaling of all) {
    signaling.close();
    await events.happened(`unregistered ${signaling.clientId}`);
  }
}

Deno.test("Signaling.peers follows the room: joins, leaves, and replacements", async () => {
  await using server = startServer();
  const alice = await register(server.url, "alice", { presence: true });
  const bob = connect(server.url, { clientId: "bob" });
  assert.deepEqual(await presence(alice, 1), ["+bob"]);
  const again = presence(alice, 2);
  const ended = reached(bob, "closed");
  const next = await register(server.url, "bob");
  await ended;
  assert.deepEqual(await again, ["-bob", "+bob"]);
  assert.deepEqual([...alice.peers], ["bob"]);
  const left = presence(alice, 1);
  await leave(server.events, next);
  assert.deepEqual(await left, ["-bob"]);
  await leave(server.events, alice);
});

Deno.test("Signaling.ping() gets its answer from the server", async () => {
  await using server = startServer();
  const alice = await register(server.url, "alice");
  assert.ok(await alice.ping() >= 0);
  await leave(server.events, alice);
});

Deno.test("a program that has lost its secret waits for its ID and gets it", async () => {
  await using server = startServer({ resumeTtlMs: "300ms" });
  const first = new WebSocket(server.url);
  first.onopen = () => first.send(`{"type":"register","client_id":"robot","resume":true}`);
  await server.events.happened("registered robot");
  first.close(4000); // every close but 1000 holds the ID
  await server.events.happened("detached robot");
  const codes: string[] = [];
  const robot = connect(server.url, { clientId: "robot" });
  robot.on("error", ({ code }) => void codes.push(code));
  const states: string[] = [];
  robot.on("statechange", ({ state, reason = "" }) => void states.push(`${state} ${reason}`));
  await reached(robot, "registered");
  assert.deepEqual(codes, ["id_held"]);
  assert.deepEqual(states, ["waiting id_held", "connecting ", "registered "]);
  server.events.lines.length = 0;
  await leave(server.events, robot);
});
