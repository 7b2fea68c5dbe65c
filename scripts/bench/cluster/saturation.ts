/** How much one Redis carries, when nothing else is slower: the cluster's own scripts, sent to it directly. */

import type { ScenarioRun } from "../results.ts";
import { type Bench, type Described, runSessions } from "../run.ts";
import type { Measured, Sample, Session } from "../scenarios/scenario.ts";
import type { Plan } from "../turns.ts";
import type { Load } from "./load.ts";
import { MessageLoad } from "./message_load.ts";
import { withRedis } from "./redis_process.ts";
import { RegistrationLoad } from "./registration_load.ts";
import { type SimulatedNode, SimulatedNodes } from "./simulated_node.ts";

/** Connections to Redis. */
const NODES = 4;
/** On each connection. */
const IN_FLIGHT = 64;

const SATURATION: Described = {
  name: "Redis",
  what: `scripts from ${NODES} connections, ${IN_FLIGHT} in flight on each`,
  metrics: [
    { name: "rate", unit: "/s", label: "operations that were carried" },
    { name: "busy", unit: "%", label: "of its core" },
    { name: "cpu", unit: "µs", label: "CPU for each" },
    { name: "limit", unit: "/s", label: "derived, not measured: operations at 100 % of its core" },
  ],
};

/** Saturates a Redis of its own. */
export function measureSaturation(bench: Bench, plan: Plan): Promise<ScenarioRun> {
  return withRedis(bench, async (redis) => {
    const nodes = new SimulatedNodes();
    try {
      const prepare = (prefix: string, load: (nodes: readonly SimulatedNode[]) => Load) => {
        const own = nodes.open(redis.port, prefix, NODES);
        return saturate(nodes, own, load(own), redis);
      };
      const sessions = new Map([
        ["message to another node", prepare("a", (own) => new MessageLoad(nodes, own))],
        [
          "registration, a room of its own",
          prepare("b", (own) => new RegistrationLoad(nodes, own, true)),
        ],
        [
          `registration, a room that ${NODES} nodes watch`,
          prepare("c", (own) => new RegistrationLoad(nodes, own, false)),
        ],
      ]);
      return await runSessions(bench, SATURATION, sessions, plan);
    } finally {
      nodes.close();
    }
  });
}

function saturate(
  all: SimulatedNodes,
  nodes: readonly SimulatedNode[],
  load: Load,
  redis: Measured,
): Session {
  return {
    run(durationMs): Sample {
      all.heartbeat(nodes);
      const endedBefore = load.ended;
      redis.takeCpuNs();
      const startedAt = performance.now();
      load.begin(IN_FLIGHT);
      all.pollFor(durationMs);
      load.drain();
      all.waitUntil(() => load.ended === load.begun);
      const wallMs = performance.now() - startedAt;
      const cpuNs = redis.takeCpuNs();
      const ended = load.ended - endedBefore;
      return {
        rate: 1000 * ended / wallMs,
        busy: cpuNs / 1e4 / wallMs,
        cpu: cpuNs / 1000 / ended,
        limit: 1e9 * ended / cpuNs,
      };
    },
    end() {},
  };
}
