/** A client takes all file descriptors: the runtime's listener ends then, the connections do not. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { ServingProgram } from "../helpers/program.ts";
import { RawPeer } from "../helpers/raw_peer.ts";
import { testOnRuntimes } from "../helpers/runtimes.ts";
import { hasCommand, isMissing } from "../helpers/tools.ts";

const needsPrlimit = () => isMissing(hasCommand("prlimit"), "prlimit (Debian: util-linux)");

/** Runs a command with a limit of open files. */
function withFileLimit(limit: number, command: readonly string[]): readonly string[] {
  return ["prlimit", `--nofile=${limit}:${limit}`, ...command];
}

/** Connects until the server takes no more, and half-sends a request on each. */
async function takeAllDescriptors(program: ServingProgram): Promise<RawPeer[]> {
  const peers: RawPeer[] = [];
  let isFull = false;
  const full = program.logged("Listening failed").then(() => isFull = true);
  while (!isFull) {
    try {
      const peer = await RawPeer.connect(program.url);
      peers.push(peer);
      await peer.write("GET / HTTP/1.1\r\n");
    } catch {
      await full; // the listener has ended
    }
  }
  return peers;
}

/** Connects and registers as soon as that is possible again. */
async function registerAtLast(url: string, clientId: string): Promise<TestClient> {
  while (true) {
    try {
      return await TestClient.register(url, clientId);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20)); // it is tried again, as any client does
    }
  }
}

testOnRuntimes("running out of file descriptors hurts no client, and passes", async (command) => {
  if (needsPrlimit()) return;
  const limited = withFileLimit(64, command);
  await using program = await ServingProgram.start([], { command: limited });
  const [alice, bob] = await TestClient.registerAll(program.url, "alice", "bob");
  const peers = await takeAllDescriptors(program);

  for (let n = 0; n < 50; n++) {
    alice.send({ target_id: "bob", n });
    assert.equal((await bob.next()).n, n);
  }
  // Most of them go. Those that stay had Deno 2.4 never say that it had ceased to listen.
  for (const peer of peers.splice(5)) peer.close();
  const carol = await registerAtLast(program.url, "carol");
  carol.send({ target_id: "alice", from: "outside" });
  assert.equal((await alice.next()).from, "carol");
  for (const peer of peers) peer.close();
  program.signal("SIGTERM");
  assert.equal((await program.ended()).status, 0);
});

testOnRuntimes("a file limit too low for --max-connections is reported", async (command) => {
  if (needsPrlimit()) return;
  const start = async (limit: number) => {
    const limited = withFileLimit(limit, command);
    await using program = await ServingProgram.start(["--max-connections", "400"], {
      command: limited,
    });
    program.signal("SIGTERM");
    return (await program.ended()).stderr.split("\n").filter((line) => line.startsWith("WARN"));
  };
  const [warning, ...others] = await start(256);
  assert.match(warning ?? "", /Only \d+ files can be open, too few for --max-connections 400/);
  assert.deepEqual([others, await start(1024)], [[], []]);
});
