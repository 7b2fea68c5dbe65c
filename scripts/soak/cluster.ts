/** A cluster to be hurt: nodes as processes, a Redis of its own, and a line between each of them that can be cut. */

import { Proxy } from "../../tests/helpers/proxy.ts";
import { type ProgramOptions, ServingProgram } from "../../tests/helpers/program.ts";
import { TestRedis } from "../../tests/helpers/redis.ts";
import { untilStatus } from "../../tests/helpers/health.ts";
import type { Terms } from "./times.ts";

/** Times of a cluster on one machine that is busy, short enough to pass within a round. */
export const SHORT_TIMES: Terms = { mailboxTtlMs: 1000, noticeMs: 2000, transitMs: 3000 };

/** Returns the arguments of a server that keeps these terms. */
export function argsFor({ mailboxTtlMs }: Terms): readonly string[] {
  return ["--mailbox-ttl", `${mailboxTtlMs}ms`, "--resume-ttl", "1s", "--log-level", "error"];
}

export class SoakCluster implements AsyncDisposable {
  readonly redis: TestRedis;
  /** The proxies between each node and Redis. */
  readonly lines: readonly Proxy[];
  readonly nodes: ServingProgram[];
  readonly #start: (index: number, port: string) => Promise<ServingProgram>;

  private constructor(
    redis: TestRedis,
    lines: readonly Proxy[],
    nodes: ServingProgram[],
    start: (index: number, port: string) => Promise<ServingProgram>,
  ) {
    this.redis = redis;
    this.lines = lines;
    this.nodes = nodes;
    this.#start = start;
  }

  /** Starts nodes; resolves once they have joined. */
  static async start(
    size: number,
    terms: Terms,
    options: ProgramOptions = {},
  ): Promise<SoakCluster> {
    const redis = await TestRedis.start();
    const lines = Array.from({ length: size }, () => new Proxy(redis.port));
    const start = (index: number, port: string) => {
      const redisUrl = `redis://127.0.0.1:${lines[index]!.port}`;
      return ServingProgram.start(
        [...argsFor(terms), "--redis", redisUrl, "--port", port],
        options,
      );
    };
    const nodes = await Promise.all(lines.map((_, index) => start(index, "0")));
    const cluster = new SoakCluster(redis, lines, nodes, start);
    await cluster.joined();
    return cluster;
  }

  /** The addresses of the nodes. They stay. */
  get urls(): readonly string[] {
    return this.nodes.map(({ url }) => url);
  }

  /** Resolves once all nodes have joined. */
  async joined(): Promise<void> {
    await Promise.all(this.nodes.map(({ httpUrl }) => untilStatus(httpUrl, "ok")));
  }

  /** Starts a node again that has ended, at the same address; resolves once it has joined. */
  async restart(index: number): Promise<void> {
    const { port } = new URL(this.nodes[index]!.url);
    const node = await this.#start(index, port);
    this.nodes[index] = node;
    await untilStatus(node.httpUrl, "ok");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) node.trySignal("SIGCONT");
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    for (const line of this.lines) await line[Symbol.asyncDispose]();
    await this.redis[Symbol.asyncDispose]();
  }
}
