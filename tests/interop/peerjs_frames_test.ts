/** PeerJS' protocol over real sockets: signalbox alone, two nodes of a cluster, and PeerServer for comparison. */

import { TestCluster } from "../cluster/nodes.ts";
import { ServingProgram } from "../helpers/program.ts";
import { isRedisMissing } from "../helpers/redis.ts";
import { EXCHANGES, type Subject } from "./peerjs_exchanges.ts";

const DISCOVERY = "--peerjs-discovery";

async function runAll(t: Deno.TestContext, subject: Subject): Promise<void> {
  for (const { name, differs, run } of EXCHANGES) {
    const ignore = subject.isReference && differs !== undefined;
    const note = ignore ? ` (PeerServer differs: ${differs})` : "";
    await t.step({ name: `${name}${note}`, ignore, fn: () => run(subject) });
  }
}

Deno.test("PeerJS' protocol on one node", async (t) => {
  await using program = await ServingProgram.start([DISCOVERY]);
  await runAll(t, { urls: [program.url, program.url], isReference: false });
});

Deno.test({
  name: "PeerJS' protocol over two nodes of a cluster",
  ignore: isRedisMissing(),
  async fn(t) {
    await using cluster = await TestCluster.start(DISCOVERY);
    const [a, b] = cluster.urls;
    await runAll(t, { urls: [a, b], isReference: false });
  },
});

Deno.test("PeerServer does the same, except for the listed differences", async (t) => {
  const apps = new URL("apps", import.meta.url).pathname;
  const lock = `--lock=${apps}/deno.lock`;
  const command = [Deno.execPath(), "run", "--allow-all", lock, `${apps}/peer_server.js`];
  await using program = await ServingProgram.start([], { command });
  await runAll(t, { urls: [program.url, program.url], isReference: true });
});
