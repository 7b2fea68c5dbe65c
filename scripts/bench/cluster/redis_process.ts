/** A Redis of the benchmark's own, on the core for servers. */

import { findFreePort } from "../../../tests/helpers/free_port.ts";
import type { Bench } from "../run.ts";
import { ServerProcess } from "../server_process.ts";

const LISTENING = /port=(\d+)[^]*Ready to accept connections/;

/**
 * Runs something with a Redis that is new, and keeps nothing on disk.
 *
 * @throws {Error} if there is no redis-server
 */
export async function withRedis<Answer>(
  { cores, logs }: Bench,
  use: (redis: ServerProcess) => Promise<Answer>,
): Promise<Answer> {
  await requireRedis();
  const listen = ["--port", String(findFreePort()), "--bind", "127.0.0.1"];
  const redis = await ServerProcess.start({
    command: ["redis-server", ...listen, "--save", "", "--appendonly", "no"],
    core: cores?.server ?? null,
    stderrFile: `${logs}/redis.log`,
    listening: LISTENING,
  });
  try {
    return await use(redis);
  } finally {
    await redis.stop();
  }
}

async function requireRedis(): Promise<void> {
  const version = new Deno.Command("redis-server", { args: ["--version"], stdout: "null" });
  await version.output().catch(() => {
    throw new Error("this needs redis-server (Debian: apt install redis-server)");
  });
}
