/** Checks what a cluster does while one of its nodes cannot reach Redis. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import type { Line } from "../helpers/proxy.ts";
import { assertConnected, closeAll, DISCONNECTED_WITHIN_MS, peer, within } from "./expectations.ts";
import type { TestCluster } from "./nodes.ts";

const { register } = TestClient;

/** Cuts the first node off, which then serves alone, and reconnects it, after which nothing is lost. */
export async function testCutOff(cluster: TestCluster, line: Line): Promise<void> {
  const [a, b] = cluster.urls;
  const node = cluster.nodes[0]!;
  const inside = await register(a, "inside", { presence: true });
  const lost = await register(a, "lost");
  const outside = await register(b, "outside", { presence: true });
  for (const id of ["lost", "outside"]) {
    assert.deepEqual(await inside.next(), peer("joined", id));
  }
  await line.cut();
  const gone = within(
    DISCONNECTED_WITHIN_MS,
    (async () => {
      const left = [await outside.next(), await outside.next()];
      assert.deepEqual(left.map(({ client_id }) => client_id).sort(), ["inside", "lost"]);
    })(),
  );
  await node.logged("Serving alone");
  await assertConnected(inside, lost);
  inside.send({ target_id: "outside" });
  assert.equal((await inside.next()).code, "unavailable");
  await gone;
  const found = await register(b, "lost");
  assert.deepEqual(await outside.next(), peer("joined", "lost"));
  outside.send({ target_id: "inside", n: 1 }); // stored: no node knows that the client is connected
  await line.heal();
  await node.logged("Joined the cluster", 2);
  assert.equal((await lost.next()).code, "replaced");
  assert.equal((await lost.closed).code, 4409);
  assert.deepEqual(await inside.next(), { from: "outside", n: 1 });
  assert.deepEqual(await outside.next(), peer("joined", "inside"));
  await assertConnected(inside, outside);
  await assertConnected(found, inside);
  await closeAll(inside, outside, found);
}
