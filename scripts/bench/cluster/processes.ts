/** Processes of a measurement: nodes and their Redis, all on the core for servers. */

import { fromSource, QUIET, signalbox } from "../contenders.ts";
import { Driver } from "../driver.ts";
import { type Bench, startServer } from "../run.ts";
import type { ServerProcess } from "../server_process.ts";

/** A node by itself, three of a cluster, and the Redis between them. */
export interface Processes {
  readonly alone: ServerProcess;
  readonly a: ServerProcess;
  readonly b: ServerProcess;
  /** The one whose clients have nothing for those of other nodes. */
  readonly secluded: ServerProcess;
  readonly redis: ServerProcess;
  /** A node with two Redis: that of the others, with a prefix of its own there, and one more. */
  readonly spread: ServerProcess;
  readonly secondRedis: ServerProcess;
}

/** Starts the nodes, and a driver; ends them afterwards. */
export async function withNodes<Answer>(
  bench: Bench,
  main: string,
  [redis, secondRedis]: readonly [ServerProcess, ServerProcess],
  use: (driver: Driver, processes: Processes) => Promise<Answer>,
): Promise<Answer> {
  const driver = new Driver();
  const started: ServerProcess[] = [];
  const start = async (name: string, ...options: string[]) => {
    const contender = await signalbox(name, fromSource(main), [...QUIET, ...options]);
    const node = await startServer(bench, contender);
    started.push(node);
    return node;
  };
  const join = ["--redis", urlOf(redis)];
  const joinBoth = [...join, "--redis", urlOf(secondRedis), "--redis-prefix", "spread"];
  try {
    const alone = await start("alone");
    const a = await start("a", ...join);
    const b = await start("b", ...join);
    const secluded = await start("secluded", ...join);
    const spread = await start("spread", ...joinBoth);
    return await use(driver, { alone, a, b, secluded, redis, spread, secondRedis });
  } finally {
    driver.close();
    await Promise.all(started.map((node) => node.stop()));
  }
}

function urlOf({ port }: ServerProcess): string {
  return `redis://127.0.0.1:${port}`;
}
