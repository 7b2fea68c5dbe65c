/** Messages through nodes: the same between clients of one node, without a cluster and in one, and across two. */

import type { Driver } from "../driver.ts";
import { candidate } from "../messages.ts";
import type { ScenarioRun } from "../results.ts";
import { type Bench, type Described, runSessions } from "../run.ts";
import { BroadcastSession, memberIds } from "../scenarios/broadcast.ts";
import { LatencySession } from "../scenarios/latency.ts";
import { connectPairs, PairsSession } from "../scenarios/pairs.ts";
import type { Metric, Session } from "../scenarios/scenario.ts";
import type { ServerProcess } from "../server_process.ts";
import type { Plan } from "../turns.ts";
import { CpuMeter, divideCpu } from "./cpu_meter.ts";
import { type Processes, withNodes } from "./processes.ts";
import { withRedis } from "./redis_process.ts";
import { prepareVisits } from "./visits.ts";

const PAIRS = 64;
const LATENCY_INTERVAL_MS = 2;
const MEMBERS = 50;
/** More than one, so that the nodes are never without work. */
const BROADCASTERS = 4;

/** Way of a message: to a client of the same node, or of another one. */
interface Route {
  readonly from: ServerProcess;
  readonly to: ServerProcess;
  readonly redis: ServerProcess | null;
}

const ALONE = "one node, no Redis";
const WITHIN = "one node of a cluster";
const ACROSS = "across two nodes";

/** Starts a Redis, nodes around it and one by itself, and measures everything. */
export function measureNodes(bench: Bench, main: string, plan: Plan): Promise<ScenarioRun[]> {
  const measure = (driver: Driver, processes: Processes) =>
    measureAll(bench, driver, processes, plan);
  return withRedis(
    bench,
    (redis) => withRedis(bench, (second) => withNodes(bench, main, [redis, second], measure)),
  );
}

async function measureAll(bench: Bench, driver: Driver, processes: Processes, plan: Plan) {
  const { alone, a, b, secluded, redis } = processes;
  const routes = new Map<string, Route>([
    [ALONE, { from: alone, to: alone, redis: null }],
    [WITHIN, { from: secluded, to: secluded, redis }],
    [ACROSS, { from: a, to: b, redis }],
  ]);
  const over = (prepare: (driver: Driver, name: string, route: Route) => Session) =>
    new Map([...routes].map(([name, route]) => [name, prepare(driver, name, route)]));
  return [
    await runSessions(bench, CANDIDATE, over(prepareCandidates), plan),
    await runSessions(bench, LATENCY, over(prepareLatency), plan),
    await runSessions(bench, BROADCAST, over(prepareBroadcast), plan),
    await runSessions(bench, REGISTRATION, prepareVisits(driver, ALONE, processes), plan),
  ];
}

/** CPU of each process, for each of something. */
function cpuMetrics(of: string, receiver: string): Metric[] {
  return [
    { name: "node", unit: "µs", label: `CPU of the node for each ${of}` },
    { name: "receiver", unit: "µs", label: `CPU of ${receiver}` },
    { name: "redis", unit: "µs", label: "CPU of Redis" },
  ];
}

const CANDIDATE: Described = {
  name: "candidate",
  what: `a candidate of 221 bytes, one in flight on each of ${PAIRS} pairs`,
  metrics: cpuMetrics("message", "the receiver's node"),
  baseline: ALONE,
};

const LATENCY: Described = {
  name: "latency",
  what: `a candidate every ${LATENCY_INTERVAL_MS} ms, over ${PAIRS} pairs`,
  metrics: [
    { name: "p50", unit: "µs", label: "latency, median" },
    { name: "p99", unit: "µs", label: "latency, 99th percentile" },
  ],
  baseline: ALONE,
};

const BROADCAST: Described = {
  name: "broadcast",
  what: `a candidate to all in a room of ${MEMBERS}, one in flight from each of ${BROADCASTERS}`,
  metrics: cpuMetrics("broadcast", "the other node, which has half of the room"),
  baseline: ALONE,
};

const REGISTRATION: Described = {
  name: "registration",
  what: "connect, register and close",
  metrics: [
    ...cpuMetrics("registration", "the other node"),
    { name: "second", unit: "µs", label: "CPU of the second Redis" },
  ],
  baseline: ALONE,
};

function meterFor({ from, to, redis }: Route): CpuMeter {
  const receiver = to === from ? null : { receiver: to };
  return new CpuMeter({ node: from, ...receiver, ...redis && { redis } });
}

/** The name of the route is that of the room: the same IDs can be connected more than once. */
function pairsOver(driver: Driver, room: string, { from, to }: Route) {
  return connectPairs(driver, from, candidate(), PAIRS, { receivers: to, room });
}

function prepareCandidates(driver: Driver, name: string, route: Route): Session {
  const meter = meterFor(route);
  const pairs = pairsOver(driver, name, route);
  return divideCpu(new PairsSession(driver, meter, pairs, PAIRS), meter);
}

function prepareLatency(driver: Driver, name: string, route: Route): Session {
  return new LatencySession(driver, pairsOver(driver, name, route), LATENCY_INTERVAL_MS);
}

/** Half of the room is at either end of the route, and all that send are at the first. */
function prepareBroadcast(driver: Driver, room: string, route: Route): Session {
  const meter = meterFor(route);
  const ids = memberIds(MEMBERS);
  const clients = [
    ...driver.openAll(route.from.port, ids.slice(0, MEMBERS / 2), { room }),
    ...driver.openAll(route.to.port, ids.slice(MEMBERS / 2), { room }),
  ];
  const session = new BroadcastSession(driver, meter, clients, BROADCASTERS);
  return divideCpu(session, meter, MEMBERS - 1);
}
