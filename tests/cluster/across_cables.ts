/** A cluster whose first node is on another machine, for tests in a network of their own. */

import { Cable, Machine, startLoopback } from "../helpers/cable.ts";
import { fromSource } from "../helpers/program.ts";
import { TestRedis } from "../helpers/redis.ts";
import { startNode, TestCluster } from "./nodes.ts";

/**
 * Starts such a cluster and runs a test with it.
 *
 * @param test also receives the cable between the first node and Redis. Clients reach that node over another one.
 */
export async function acrossCables(
  test: (cluster: TestCluster, cable: Cable) => Promise<void>,
  ...args: readonly string[]
): Promise<void> {
  await startLoopback();
  await using machine = await Machine.start();
  const cable = await Cable.plugIn(machine.pid, 0);
  const cableForClients = await Cable.plugIn(machine.pid, 1);
  const redis = await TestRedis.start("--bind", "0.0.0.0", "--protected-mode", "no");
  const host = ["--host", cableForClients.far];
  await using cluster = await TestCluster.of(redis, [
    startNode(`redis://${cable.near}:${redis.port}`, [...args, ...host], {
      command: machine.command(fromSource()),
    }),
    startNode(redis.url, args),
    startNode(redis.url, args),
  ]);
  await test(cluster, cable);
}
