/** The benchmark's command for PeerJS' own protocol: signalbox beside PeerServer, taking turns; prints a table. */

import { parseArgs } from "node:util";
import { type Contender, fromSource, peerServer, QUIET, signalbox } from "./contenders.ts";
import { describeMachine } from "./machine.ts";
import { candidate, offer } from "./messages.ts";
import { Progress } from "./progress.ts";
import { PEERJS, type Protocol } from "./protocol.ts";
import { legend, table } from "./report.ts";
import { runIdle, runInTurns, withBench } from "./run.ts";
import { connections } from "./scenarios/connections.ts";
import { pairs } from "./scenarios/pairs.ts";

const PLAN = { sliceMs: 200, warmups: 5, idleRounds: 3, idleClients: 4000 };
const DEFAULT_TURNS = 40;

export const SCENARIOS = [
  pairs("candidate", "a candidate of 0.3 KB", candidate()),
  pairs("offer", "an offer of 3.5 KB", offer()),
  connections,
];

/** Measures signalbox beside the server whose protocol it is, and prints a table. */
export async function compare(
  reference: Contender,
  protocol: Protocol,
): Promise<void> {
  const { values } = parseArgs({ args: Deno.args, options: { turns: { type: "string" } } });
  const plan = { ...PLAN, turns: Number(values.turns ?? DEFAULT_TURNS) };
  const progress = new Progress(Deno.stderr);
  const main = Deno.realPathSync(`${import.meta.dirname}/../../main.ts`);
  const contenders = [reference, await signalbox("signalbox", fromSource(main), QUIET)];
  const runs = await withBench(progress, async (bench) => {
    const compared = { ...bench, protocol, baseline: reference.name };
    return [
      ...await runInTurns(compared, contenders, SCENARIOS, plan),
      await runIdle(compared, contenders, plan),
    ];
  });
  const metrics = runs.flatMap(({ metrics }) => metrics);
  const text = `${table(metrics)}\n${legend(describeMachine(), contenders, reference.name)}`;
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

if (import.meta.main) await compare(await peerServer(), PEERJS);
