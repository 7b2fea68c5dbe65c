/** Failures of a cluster while its clients send. If one node alone fails, it is the first one. */

import { NODE_LIFETIME_MS } from "../../lib/cluster/scripts.ts";
import { untilStatus } from "../../tests/helpers/health.ts";
import type { ServingProgram } from "../../tests/helpers/program.ts";
import type { Line } from "../../tests/helpers/proxy.ts";
import { SHORT_TIMES, type SoakCluster } from "./cluster.ts";
import type { Failure } from "./failure.ts";
import { pause } from "./pause.ts";

/** A way to hurt a cluster. */
interface Method {
  /** Text for `--help`. */
  readonly description: string;
  /** Default duration, in milliseconds. */
  readonly durationMs: number;
  /** Mailbox TTL in such a round, in milliseconds, if it differs from that in others. */
  readonly mailboxTtlMs?: number;
  /** Resolves when all is well again. */
  hurt(cluster: SoakCluster, durationMs: number): Promise<Failure>;
}

const SLOW_REDIS_DELAY_MS = 200;
/** Time within which a stopped node that goes on knows what it has lost. */
const RECOVERY_MS = 5000;

export const FAILURES = {
  kill: {
    description: "a node is killed, and started again later",
    durationMs: 4000,
    hurt: (cluster, durationMs) => endNode(cluster, durationMs, "SIGKILL", "death"),
  },
  restart: {
    description: "a node shuts down in order, and is started again later",
    durationMs: 2000,
    // Nothing may be lost: its clients have time to come back elsewhere.
    hurt: (cluster, durationMs) => endNode(cluster, durationMs, "SIGTERM", "delay"),
  },
  stop: {
    description: "a node is stopped, and goes on when the cluster has dropped its clients",
    durationMs: NODE_LIFETIME_MS + 3000,
    mailboxTtlMs: 3000, // those that it returns are stored still
    hurt: stop,
  },
  "restart-redis": {
    description: "Redis is killed, and comes back empty",
    durationMs: 1000,
    hurt: restartRedis,
  },
  "stop-redis": {
    description: "no node reaches Redis",
    durationMs: 10_000,
    hurt: stopRedis,
  },
  "slow-redis": {
    description: `all that goes to Redis or comes from there takes ${SLOW_REDIS_DELAY_MS} ms`,
    durationMs: 5000,
    hurt: slowRedis,
  },
  "cut-off": {
    description: "one node does not reach Redis",
    durationMs: NODE_LIFETIME_MS + 3000,
    hurt: ({ nodes, lines }, durationMs) => cutOff(nodes[0]!, lines[0]!, durationMs),
  },
} as const satisfies Record<string, Method>;

export type FailureName = keyof typeof FAILURES;

/** Returns how long nodes store messages in a round with this failure, in milliseconds. */
export function mailboxTtlMsFor(name: FailureName): number {
  const { mailboxTtlMs = SHORT_TIMES.mailboxTtlMs }: Method = FAILURES[name];
  return mailboxTtlMs;
}

/** Ends a node with a signal, and starts it again. */
async function endNode(
  cluster: SoakCluster,
  durationMs: number,
  signal: Deno.Signal,
  kind: Failure["kind"],
): Promise<Failure> {
  const node = cluster.nodes[0]!;
  const fromMs = performance.now();
  node.signal(signal);
  await node.ended();
  const untilMs = performance.now();
  await pause(durationMs);
  await cluster.restart(0);
  const silentUntilMs = performance.now();
  return { kind, urls: [node.url], fromMs, untilMs, silentUntilMs };
}

async function stop({ nodes }: SoakCluster, durationMs: number): Promise<Failure> {
  const node = nodes[0]!;
  const fromMs = performance.now();
  node.signal("SIGSTOP");
  await pause(durationMs);
  node.signal("SIGCONT");
  await pause(RECOVERY_MS);
  return { kind: "delay", urls: [node.url], fromMs, untilMs: performance.now() };
}

async function restartRedis(cluster: SoakCluster, durationMs: number): Promise<Failure> {
  const fromMs = performance.now();
  await cluster.redis.kill();
  await Promise.all(cluster.nodes.map(({ httpUrl }) => untilStatus(httpUrl, "degraded")));
  await pause(durationMs);
  await cluster.redis.restart();
  await cluster.joined();
  return { kind: "cut", urls: cluster.urls, fromMs, untilMs: performance.now() };
}

async function stopRedis(cluster: SoakCluster, durationMs: number): Promise<Failure> {
  const fromMs = performance.now();
  for (const line of cluster.lines) line.cut();
  await pause(durationMs);
  for (const line of cluster.lines) line.heal();
  await cluster.joined();
  return { kind: "cut", urls: cluster.urls, fromMs, untilMs: performance.now() };
}

async function slowRedis({ lines, urls }: SoakCluster, durationMs: number): Promise<Failure> {
  const fromMs = performance.now();
  for (const line of lines) line.delayMs = SLOW_REDIS_DELAY_MS;
  await pause(durationMs);
  for (const line of lines) line.delayMs = 0;
  return { kind: "delay", urls, fromMs, untilMs: performance.now() };
}

/** Messages that the others send to the node arrive when it is back, or their senders are notified. */
export async function cutOff(
  { url, httpUrl }: ServingProgram,
  line: Line,
  durationMs: number,
): Promise<Failure> {
  const fromMs = performance.now();
  await line.cut();
  await pause(durationMs);
  await line.heal();
  await untilStatus(httpUrl, "ok");
  return { kind: "cut", urls: [url], fromMs, untilMs: performance.now() };
}
