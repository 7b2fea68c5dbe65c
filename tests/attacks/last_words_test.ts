/** A client that is refused or replaced while it goes on sending: it still gets the error, and a clean close. */

import assert from "node:assert/strict";
import { type Message, TestClient } from "../helpers/client.ts";
import { OPCODE } from "../helpers/frames.ts";
import { ServingProgram } from "../helpers/program.ts";
import { RawPeer } from "../helpers/raw_peer.ts";
import { testOnRuntimes } from "../helpers/runtimes.ts";

const RUNS = 30;

/** Returns the outcomes of many runs at a time, each once. */
async function outcomesOf(run: (n: number) => Promise<string>): Promise<string[]> {
  const outcomes = await Promise.all(Array.from({ length: RUNS }, (_, n) => run(n)));
  return [...new Set(outcomes)];
}

/** Reads the next error, and what the connection ends with: `id_taken 4409 id_taken`. */
async function lastWords(client: TestClient, next: Promise<Message> = client.next()) {
  const { code } = await next;
  const closed = await client.closed;
  return `${code} ${closed.code} ${closed.reason}`;
}

testOnRuntimes("a client that registers badly and sends on gets the error", async (command) => {
  await using program = await ServingProgram.start(["--log-level", "error"], { command });
  const outcomes = await outcomesOf(async () => {
    const client = await TestClient.connect(program.url);
    client.send({ type: "register", clientId: "p" });
    for (let n = 0; n < 20; n++) client.send({ type: "candidate", target_id: "q", n });
    return await lastWords(client);
  });
  assert.deepEqual(outcomes, ["invalid_client_id 1008 invalid_client_id"]);
});

testOnRuntimes("a client that is replaced while it sends gets the error", async (command) => {
  await using program = await ServingProgram.start(["--log-level", "error"], { command });
  const outcomes = await outcomesOf(async (n) => {
    const older = await TestClient.register(program.url, `${n}`);
    const next = older.next();
    const timer = setInterval(() => older.send({ target_id: "absent", n }), 5);
    next.finally(() => clearInterval(timer)); // as a client does that reads it
    const newer = await TestClient.register(program.url, `${n}`);
    const words = await lastWords(older, ignoreNotFound(older, next));
    await newer.close();
    return words;
  });
  assert.deepEqual(outcomes, ["replaced 4409 replaced"]);
});

/** Returns the first message that is no `target_not_found`. */
async function ignoreNotFound(client: TestClient, next: Promise<Message>): Promise<Message> {
  let message = await next;
  while (message.code === "target_not_found") message = await client.next();
  return message;
}

testOnRuntimes("a flooder that never stops gets at least the error", async (command) => {
  await using program = await ServingProgram.start(["--log-level", "error"], { command });
  const outcomes = await outcomesOf(async () => {
    using flooder = await RawPeer.open(program.url);
    let isOver = false;
    const flooding = (async () => {
      const candidate = JSON.stringify({ type: "candidate", sdp: "x".repeat(500) });
      while (!isOver) {
        await flooder.sendText(candidate);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })().catch(() => {}); // the connection has ended
    const first = await flooder.readFrame();
    const { code } = JSON.parse(new TextDecoder().decode(first?.payload));
    await flooder.readToEnd();
    isOver = true;
    await flooding;
    return `${first?.opcode} ${code}`;
  });
  assert.deepEqual(outcomes, [`${OPCODE.TEXT} not_registered`]);
});
