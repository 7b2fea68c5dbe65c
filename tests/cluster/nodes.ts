/** Nodes of one cluster, as processes, with a Redis of their own. */

import assert from "node:assert/strict";
import { untilStatus } from "../helpers/health.ts";
import { type ProgramOptions, ServingProgram } from "../helpers/program.ts";
import { TestRedis } from "../helpers/redis.ts";

/** Starts a node that reaches Redis at this address. */
export function startNode(
  redisUrl: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ServingProgram> {
  return ServingProgram.start([...ARGS, "--redis", redisUrl, ...args], options);
}

/** No rate limit gets in the way of tests, which wait for lines of the log. */
const ARGS = ["--rate-limit", "0", "--log-level", "info"];

export class TestCluster implements AsyncDisposable {
  private constructor(readonly redis: TestRedis, readonly nodes: readonly ServingProgram[]) {}

  /** Starts three nodes; resolves once they have joined. */
  static async start(...args: readonly string[]): Promise<TestCluster> {
    const redis = await TestRedis.start();
    return await TestCluster.join(redis, [redis.url, redis.url, redis.url], ...args);
  }

  /** Starts a node for each address of the same Redis. */
  static async join(
    redis: TestRedis,
    urls: readonly string[],
    ...args: readonly string[]
  ): Promise<TestCluster> {
    return await TestCluster.of(redis, urls.map((url) => startNode(url, args)));
  }

  /** Resolves to the cluster of these nodes once they have joined. */
  static async of(
    redis: TestRedis,
    starting: readonly Promise<ServingProgram>[],
  ): Promise<TestCluster> {
    const nodes = await Promise.all(starting);
    await Promise.all(nodes.map(({ httpUrl }) => untilStatus(httpUrl, "ok")));
    return new TestCluster(redis, nodes);
  }

  /** The addresses of the nodes. */
  get urls(): [a: string, b: string, c: string] {
    return this.nodes.map(({ url }) => url) as [string, string, string];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) node.trySignal("SIGCONT");
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.redis[Symbol.asyncDispose]();
    for (const { log } of this.nodes) assert.doesNotMatch(log, /Internal error/);
  }
}
