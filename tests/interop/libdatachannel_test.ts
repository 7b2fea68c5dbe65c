/** libdatachannel's example protocol over real sockets: raw, over two nodes, and by libdatachannel itself. */

import assert from "node:assert/strict";
import { TestCluster } from "../cluster/nodes.ts";
import { TestClient } from "../helpers/client.ts";
import { Output, ServingProgram } from "../helpers/program.ts";
import { isRedisMissing } from "../helpers/redis.ts";

const DIALECTS = ["--dialects", "all"] as const;

/** Asserts that nothing has come since the last message that was awaited. */
async function assertQuiet(client: TestClient, id: string): Promise<void> {
  client.send({ id, last: true });
  assert.deepEqual(await client.next(), { id, last: true });
}

async function exchange([url, other]: readonly [string, string]): Promise<void> {
  const alice = await TestClient.connect(`${url}/alice`);
  alice.send('{"type":"offer", "id":"böb" ,"description":"v=0\\r\\n","n":1e400}');
  await assertQuiet(alice, "alice");
  const bob = await TestClient.connect(`${other}/b%C3%B6b?x=1`);
  const offer = '{"type":"offer", "id":"alice" ,"description":"v=0\\r\\n","n":1e400}';
  assert.equal(await bob.nextText(), offer);
  for (let n = 0; n < 20; n++) bob.send({ id: "alice", n });
  for (let n = 0; n < 20; n++) assert.deepEqual(await alice.next(), { id: "böb", n });
  for (const text of ["nonsense", "[]", "{}", '{"id":7}', '{"id":""}']) bob.send(text);
  bob.send(Uint8Array.of(0xff));
  bob.send({ id: "constructor", type: "register" });
  await assertQuiet(bob, "böb");
  const newer = await TestClient.connect(`${url}/b%C3%B6b`);
  assert.deepEqual((await bob.closed).code, 4409);
  assert.equal(bob.unread, 0);
  const core = await TestClient.connect(`${other}/carol`);
  core.send({ type: "register", client_id: "böb" });
  assert.equal((await core.next()).type, "registered");
  alice.send({ id: "böb", to: "the newer" });
  assert.deepEqual(await newer.next(), { id: "alice", to: "the newer" });
  await Promise.all([alice, newer, core].map((client) => client.close()));
}

Deno.test("libdatachannel's protocol on one node", async () => {
  await using program = await ServingProgram.start(DIALECTS);
  await exchange([program.url, program.url]);
});

Deno.test({
  name: "libdatachannel's protocol over two nodes of a cluster",
  ignore: isRedisMissing(),
  async fn() {
    await using cluster = await TestCluster.start(...DIALECTS);
    const [a, b] = cluster.urls;
    await exchange([a, b]);
  },
});

/** A process with libdatachannel. */
function startPeer(...args: readonly string[]) {
  const apps = new URL("apps", import.meta.url).pathname;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", `--lock=${apps}/deno.lock`, `${apps}/datachannel.js`, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  return { output: new Output(process.stdout), process };
}

Deno.test("libdatachannel's own sockets and connections, a callee that comes late among them", async () => {
  await using program = await ServingProgram.start(DIALECTS);
  const alice = startPeer(`${program.url}/`, "alice", "bob");
  await alice.output.has("connected");
  const bob = startPeer(`${program.url}/`, "bob");
  await Promise.all([alice.output.has("Hello from bob"), bob.output.has("Hello from alice")]);
  for (const { process, output } of [alice, bob]) {
    process.kill("SIGKILL");
    await Promise.all([process.status, output.whole]);
  }
});
