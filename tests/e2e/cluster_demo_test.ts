/** `scripts/cluster-demo` serves from three nodes, and leaves nothing behind. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { hasProc } from "../helpers/process.ts";
import { Output } from "../helpers/program.ts";
import { isRedisMissing } from "../helpers/redis.ts";
import { isMissing } from "../helpers/tools.ts";

const DEMO = new URL("../../scripts/cluster-demo", import.meta.url).pathname;
/** Variable in the environment of the demo and of its processes. */
const MARK = "CLUSTER_DEMO_TEST";

const ignore = isMissing(hasProc, "Linux: the test reads /proc") || isRedisMissing();

Deno.test({ name: "cluster-demo serves from three nodes until Ctrl+C", ignore }, async () => {
  const mark = crypto.randomUUID();
  const port = freeRange();
  const demo = new Deno.Command(DEMO, {
    args: [String(port)],
    env: { [MARK]: mark },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = new Output(demo.stdout);
  try {
    await output.has("Ctrl+C ends all");
    assert.ok(processesWith(mark).length >= 5, "the demo, Redis and three nodes");
    const alice = await TestClient.register(`ws://127.0.0.1:${port + 1}`, "alice");
    const bob = await TestClient.register(`ws://127.0.0.1:${port + 2}`, "bob");
    bob.send({ type: "hello", target_id: "alice" });
    assert.deepEqual(await alice.next(), { type: "hello", from: "bob" });
    demo.kill("SIGINT");
    assert.equal((await alice.closed).reason, "shutting_down");
    await bob.closed;
  } finally {
    await end(demo);
  }
  assert.match(await output.whole, /node 3: INFO - Shutting down/);
  assert.equal((await demo.status).code, 0);
  assert.deepEqual(processesWith(mark), []);
});

/** Ends the demo with all its processes, if it has not ended. */
async function end(demo: Deno.ChildProcess): Promise<void> {
  try {
    demo.kill("SIGINT");
  } catch {
    // it has ended
  }
  await demo.status;
}

/** First of the ports that the demo takes, all of them free. */
function freeRange(): number {
  for (let port = 20_000; port < 60_000; port += 20) {
    if ([0, 1, 2, 3, 11, 12, 13].every((offset) => isFree(port + offset))) return port;
  }
  throw new Error("no free ports");
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}

function processesWith(mark: string): string[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => name).filter((name) => {
    try {
      return Deno.readTextFileSync(`/proc/${name}/environ`).includes(`${MARK}=${mark}`);
    } catch {
      return false; // no process, or it has ended
    }
  });
}
