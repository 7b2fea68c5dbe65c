/** Two hundred clients that register and never read again, in a room with many messages. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { Pair } from "../helpers/pair.ts";
import { inMebibytes, memoryOf } from "../helpers/process.ts";
import { ServingProgram } from "../helpers/program.ts";
import { answerToUpgrade, RawPeer } from "../helpers/raw_peer.ts";
import { testOnRuntimes } from "../helpers/runtimes.ts";

const READERS = 200;
/** The pair, the speaker and the watcher. */
const OTHERS = 4;
/** Memory of each, at the most: the limit of 1 MiB, what comes in the moment that it is given, and what the runtime adds. */
const MAX_BYTES_PER_READER = 3 * 1024 ** 2;

/** Speaks to the whole room, and waits each time until the room has read it, until `isDone`. */
async function speak(url: string, isDone: () => boolean): Promise<number> {
  const speaker = await TestClient.register(url, "speaker");
  let messages = 0;
  for (; !isDone(); messages++) {
    speaker.send({ text: "x".repeat(60_000) });
    speaker.send({ target_id: "speaker" });
    await speaker.next();
  }
  await speaker.close();
  return messages;
}

/** Clients that have left, of those that never read. */
async function watch(url: string, onLeft: (count: number) => void): Promise<TestClient> {
  const watcher = await TestClient.register(url, "watcher", { presence: true });
  const left = new Set<unknown>();
  (async () => {
    while (left.size < READERS) {
      const { type, client_id: id } = await watcher.next();
      if (type === "peer_left") onLeft(left.add(id).size);
    }
  })();
  return watcher;
}

testOnRuntimes("stuck readers are dropped, and delay no other client", async (command) => {
  const limits = ["--rate-limit", "0", "--max-connections", `${READERS + OTHERS}`];
  const args = [...limits, "--log-level", "warn", "--drain-timeout", "1s"];
  await using program = await ServingProgram.start(args, { command });
  using readers = new DisposableStack();
  for (let n = 0; n < READERS; n++) {
    readers.use(await RawPeer.register(program.url, `stuck ${n}`));
  }
  const before = memoryOf(program.pid);
  const pair = await Pair.start(program.url);
  let dropped = 0;
  const watcher = await watch(program.url, (count) => dropped = count);
  const said = await speak(program.url, () => dropped === READERS);

  // They are out of the router, but their sockets are not gone: the last place was the speaker's.
  assert.match(await answerToUpgrade(program.url), /^HTTP\/1\.1 101 /);
  using _last = await RawPeer.open(program.url);
  assert.match(await answerToUpgrade(program.url), /^HTTP\/1\.1 503 /);

  await pair.exchange(10);
  const { messages, slowestMs } = await pair.finish();
  await watcher.close();
  const perReader = (memoryOf(program.pid).peakBytes - before.nowBytes) / READERS;
  console.info(
    `${said} broadcasts; ${messages} messages there and back, none lost, the slowest in ${slowestMs} ms; ` +
      `memory at its highest ${inMebibytes(memoryOf(program.pid).peakBytes)}, for each reader ` +
      `${inMebibytes(perReader)} (may be ${inMebibytes(MAX_BYTES_PER_READER)})`,
  );
  assert(perReader < MAX_BYTES_PER_READER);
  readers.dispose();
  program.signal("SIGTERM");
  const { status, stderr } = await program.ended();
  const closings = stderr.split("\n").filter((line) =>
    /^WARN - Closing stuck \d+: overloaded$/.test(line)
  );
  assert.deepEqual([status, closings.length, stderr.trim().split("\n").length], [
    0,
    READERS,
    READERS,
  ]);
});

Deno.test("a stuck reader that reads again finds its close frame, with 1013", async () => {
  await using program = await ServingProgram.start(["--rate-limit", "0"]);
  using reader = await RawPeer.register(program.url, "stuck");
  const watcher = await TestClient.register(program.url, "watcher", { presence: true });
  let isDropped = false;
  const left = watcher.next().then(({ type, client_id: id }) => {
    assert.deepEqual([type, id], ["peer_left", "stuck"]);
    isDropped = true;
  });
  while (!isDropped) {
    watcher.send({ target_id: "stuck", text: "x".repeat(60_000) });
    await new Promise((resolve) => setTimeout(resolve, 1)); // or it would be dropped for the burst
  }
  await left;
  assert.deepEqual(await reader.readClose(), { code: 1013, reason: "overloaded" });
});

Deno.test("a burst, as large as one sender may send it, drops no client that reads", async () => {
  const args = ["--rate-burst", "600", "--log-level", "warn"];
  await using program = await ServingProgram.start(args);
  const [sender, reader] = await TestClient.registerAll(program.url, "sender", "reader");
  for (let n = 0; n < 600; n++) sender.send({ target_id: "reader", n, text: "x".repeat(16_000) });
  for (let n = 0; n < 600; n++) assert.equal((await reader.next()).n, n);
  program.signal("SIGTERM");
  assert.deepEqual(await program.ended(), { status: 0, stdout: "", stderr: "" });
});
