/** Clients of other servers on the nodes of a cluster, when a node dies or Redis does. */

import assert from "node:assert/strict";
import { untilStatus } from "../helpers/health.ts";
import { isRedisMissing } from "../helpers/redis.ts";
import { assertQuiet, join, joinOnceFree } from "../interop/peerjs_exchanges.ts";
import { testBesideEachOther } from "./beside_each_other.ts";
import { TestCluster } from "./nodes.ts";

testBesideEachOther("PeerJS' clients of a cluster", isRedisMissing(), {
  "a node is killed, and its IDs are free": async () => {
    await using cluster = await TestCluster.start("--resume-ttl", "1h");
    const [a, b, c] = cluster.urls;
    const lost = await join(a, "lost", "first");
    const sender = await join(c, "sender");
    cluster.nodes[0]!.signal("SIGKILL");
    await lost.closed;
    const again = await joinOnceFree(b, "lost", "second");
    sender.send({ type: "OFFER", dst: "lost" });
    assert.equal(await again.nextText(), '{"type":"OFFER","src":"sender","dst":"lost"}');
    await Promise.all([again.close(), sender.close()]);
  },

  "Redis is lost: nodes serve alone, and one of two clients with the same ID keeps it afterwards":
    async () => {
      await using cluster = await TestCluster.start("--peerjs-discovery");
      const [a, b] = cluster.urls;
      const [nodeA, nodeB] = cluster.nodes.map(({ httpUrl }) => httpUrl) as [string, string];
      const alice = await join(a, "alice");
      await cluster.redis.kill();
      await Promise.all([nodeA, nodeB].map((url) => untilStatus(url, "degraded")));
      const twins = [await join(a, "twin"), await join(b, "twin", "other")];
      alice.send({ type: "OFFER", dst: "far" });
      assert.deepEqual(await alice.next(), { type: "EXPIRE", src: "far", dst: "alice" });
      const list = await fetch(`${nodeB}/peerjs/peers`);
      assert.deepEqual([list.status, await list.json()], [200, ["twin"]]);
      await cluster.redis.restart();
      await Promise.all([nodeA, nodeB].map((url) => untilStatus(url, "ok")));
      assert.equal((await Promise.race(twins.map(({ closed }) => closed))).code, 4409);
      await assertQuiet(alice, "alice");
      await alice.close();
      await Promise.all(twins.map((twin) => twin.close()));
    },
});
