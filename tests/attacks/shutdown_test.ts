/** Shutdown with clients that never answer a close, read nothing, or have not even finished their request. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { ServingProgram } from "../helpers/program.ts";
import { answerToUpgrade, RawPeer } from "../helpers/raw_peer.ts";
import { testOnRuntimes } from "../helpers/runtimes.ts";

/** Clients that do not let go. */
async function connectStubborn(url: string): Promise<Disposable> {
  const stack = new DisposableStack();
  stack.use(await RawPeer.connect(url));
  stack.use(await RawPeer.open(url));
  stack.use(await RawPeer.register(url, "silent"));
  const halfSent = stack.use(await RawPeer.connect(url));
  await halfSent.write("GET / HTTP/1.1\r\nhost: localhost\r\n");
  const halfFrame = stack.use(await RawPeer.register(url, "half a frame"));
  await halfFrame.write(Uint8Array.of(0x81));
  const deaf = stack.use(await RawPeer.register(url, "deaf"));
  for (let n = 0; n < 100; n++) { // more than the kernel takes
    await deaf.sendText(JSON.stringify({ target_id: "deaf", text: "x".repeat(60_000) }));
  }
  return stack;
}

testOnRuntimes("a shutdown is done in time, whatever clients do", async (command) => {
  const args = ["--drain-timeout", "1s", "--max-buffered", "64MiB", "--log-level", "warn"];
  await using program = await ServingProgram.start(args, { command });
  const polite = await TestClient.register(program.url, "polite");
  using _stubborn = await connectStubborn(program.url);
  program.signal("SIGTERM");
  assert.deepEqual(await polite.ending(), [1012, "shutting_down"]);
  assert.deepEqual(await program.ended(), { status: 0, stdout: "", stderr: "" });
});

testOnRuntimes("a shutdown lets no client in, and a second signal ends it", async (command) => {
  await using program = await ServingProgram.start(["--drain-timeout", "1h"], { command });
  const polite = await TestClient.register(program.url, "polite");
  using _stubborn = await connectStubborn(program.url);
  program.signal("SIGINT");
  await polite.closed;

  const health = await fetch(`${program.httpUrl}/healthz`);
  assert.deepEqual([health.status, (await health.json()).status], [503, "draining"]);
  const head = await answerToUpgrade(program.url);
  assert.match(head, /^HTTP\/1\.1 503 /);
  assert.match(head, /\r\nretry-after: \d+\r\n/i);

  program.signal("SIGTERM");
  assert.equal((await program.ended()).status, 0);
});
