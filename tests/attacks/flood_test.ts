/** Clients that send far more than they may. */

import assert from "node:assert/strict";
import { type Message, TestClient } from "../helpers/client.ts";
import { FakeClock } from "../helpers/clock.ts";
import { Pair } from "../helpers/pair.ts";
import { ServingProgram } from "../helpers/program.ts";
import { startServer } from "../helpers/server.ts";

const RATE = 100;
const BURST = 600;
const FLOOD_SECONDS = 2;

/** Sends ten times what the rate limit allows, evenly. Resolves with the number of messages. */
async function flood(flooder: TestClient, targetId: string): Promise<number> {
  let sent = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      for (let n = 0; n < RATE / 10; n++) flooder.send({ target_id: targetId, n: sent++ });
      if (sent < 10 * RATE * FLOOD_SECONDS) return;
      clearInterval(timer);
      resolve();
    }, 10);
  });
  return sent;
}

/** Reads up to the last of `count` messages and errors at two clients. */
async function readAll(flooder: TestClient, target: TestClient, count: number) {
  const accepted: Message[] = [];
  const refused: Message[] = [];
  const read = async (client: TestClient, messages: Message[]) => {
    while (true) messages.push(await client.next());
  };
  const closed = Promise.allSettled([read(flooder, refused), read(target, accepted)]);
  while (accepted.length + refused.length < count) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await Promise.all([flooder.close(), target.close()]);
  await closed;
  return { accepted, refused };
}

Deno.test("of a flood at ten times the rate limit each message arrives or is refused", async () => {
  await using program = await ServingProgram.start(["--log-level", "warn"]);
  const pair = await Pair.start(program.url);
  const [flooder, target] = await TestClient.registerAll(program.url, "flooder", "target");
  const startedAtMs = performance.now();
  const sent = await flood(flooder, "target");
  const { accepted, refused } = await readAll(flooder, target, sent);
  const elapsedSeconds = (performance.now() - startedAtMs) / 1000; // the server reads later than it was sent
  assert.equal(accepted.length + refused.length, sent);
  assert(accepted.length >= BURST);
  assert(accepted.length <= BURST + RATE * elapsedSeconds + 1, `${accepted.length}`);
  const numbers = accepted.map(({ n }) => Number(n));
  assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b));
  for (const { code, target_id } of refused) {
    assert.deepEqual([code, target_id], ["rate_limited", "target"]);
  }
  await pair.exchange(10);
  const { messages, slowestMs } = await pair.finish();
  console.info(
    `${sent} sent, ${accepted.length} accepted, ${refused.length} refused; ` +
      `${messages} messages of others there and back, none lost, the slowest in ${slowestMs} ms`,
  );
});

Deno.test("a client that is refused five hundred times in a row is closed", async () => {
  const clock = new FakeClock();
  await using server = startServer({ rateBurst: "10" }, { clock });
  const flooder = await TestClient.register(server.url, "flooder");
  for (let n = 0; n < 510; n++) flooder.send({ target_id: "flooder", n });
  for (let n = 0; n < 10; n++) assert.equal((await flooder.next()).n, n);
  for (let n = 0; n < 500; n++) assert.equal((await flooder.next()).code, "rate_limited");
  clock.advance(300);
  assert.deepEqual(await flooder.ending(), [1008, "rate_limited"]);
});

Deno.test("a broadcast costs its sender a token for every twenty recipients", async () => {
  const clock = new FakeClock();
  await using server = startServer({ rateBurst: "10", rateLimitPerSecond: "2" }, { clock });
  const speaker = await TestClient.register(server.url, "speaker");
  const listeners: TestClient[] = [];
  for (let n = 0; n < 41; n++) listeners.push(await TestClient.register(server.url, `${n}`));
  // Three tokens each: three of them, and one token is left.
  for (let n = 0; n < 4; n++) speaker.send({ n });
  const refusal = await speaker.next();
  assert.deepEqual([refusal.code, refusal.target_id], ["rate_limited", undefined]);
  clock.advance(1500); // three tokens more
  speaker.send({ n: 4 });
  for (const listener of listeners) {
    for (const n of [0, 1, 2, 4]) assert.deepEqual(await listener.next(), { from: "speaker", n });
  }
  await Promise.all(listeners.map((listener) => listener.close()));
});

Deno.test("a client that asks again and again for the list of all peers pays ten tokens each time", async () => {
  await using server = startServer({ rateBurst: "39" }, { clock: new FakeClock() });
  const curious = await TestClient.register(server.url, "curious", { presence: true });
  const others: TestClient[] = [];
  for (let n = 0; n < 41; n++) {
    others.push(await TestClient.register(server.url, `${n}`));
    await curious.next(); // peer_joined
  }
  for (let n = 0; n < 4; n++) {
    curious.send({ type: "register", client_id: "curious", presence: true });
  }
  for (let n = 0; n < 3; n++) assert.equal(((await curious.next()).peers as string[]).length, 41);
  assert.equal((await curious.next()).code, "rate_limited");
  await Promise.all(others.map((other) => other.close()));
});
