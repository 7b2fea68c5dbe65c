/** The benchmark's command: starts the servers, lets them take turns in each scenario, and prints what came out. */

import { Command } from "commander";
import { broadcast } from "./broadcast.ts";
import * as contenders from "./contenders.ts";
import { Driver } from "./driver.ts";
import { candidate, offer } from "./messages.ts";
import { pairs } from "./pairs.ts";
import { summarize } from "./results.ts";
import type { Scenario } from "./scenario.ts";
import { ServerProcess } from "./server_process.ts";
import { type Competitor, type Plan, takeTurns } from "./turns.ts";

const FULL: Plan = { turns: 40, sliceMs: 200, warmups: 5 };
const QUICK: Plan = { turns: 12, sliceMs: 150, warmups: 4 };

const SCENARIOS: readonly Scenario[] = [
  pairs("candidate", "a candidate of 221 bytes", candidate),
  pairs("sdp", "an offer of 3.5 KB", offer),
  broadcast,
];

const program = new Command("bench")
  .option("--quick", "one minute in place of eight")
  .option("--main <path...>", "main.ts of the signalbox to measure; several: side by side", [
    `${import.meta.dirname}/../../main.ts`,
  ])
  .option("--executable <path>", "measure this executable, too")
  .option("--only <names...>", "contenders")
  .option("--scenarios <names...>", "scenarios");
program.parse(Deno.args, { from: "user" });
const options = program.opts();

const temporary = Deno.makeTempDirSync();
const list: contenders.Contender[] = [contenders.bareDeno()];
for (const main of options.main) {
  const label = options.main.length > 1 ? ` ${main}` : "";
  list.push(
    await contenders.signalbox(`signalbox${label}`, contenders.fromSource(main), {
      "--log-level": "warn",
    }),
  );
  list.push(
    await contenders.signalbox(`signalbox, info${label}`, contenders.fromSource(main), {
      "--log-level": "info",
    }),
  );
}
if (options.executable) {
  list.push(
    await contenders.signalbox("executable", [options.executable], { "--log-level": "warn" }),
  );
}
const cache = `${
  Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`
}/signalbox-bench`;
for (const make of [contenders.node, contenders.bun, contenders.python]) {
  list.push(await make(cache));
}
const chosen = list.filter(({ name }) =>
  options.only === undefined || name === contenders.BASELINE ||
  options.only.some((word: string) => name.toLowerCase().startsWith(word.toLowerCase()))
);
await new Deno.Command("taskset", {
  args: ["-a", "-p", "-c", "1", String(Deno.pid)],
  stdout: "null",
}).output();
const driver = new Driver();
const running: Competitor[] = [];
for (const [index, { name, command, env }] of chosen.entries()) {
  const server = await ServerProcess.start({
    command,
    env: env ?? {},
    core: 0,
    stderrFile: `${temporary}/${index}.log`,
  });
  running.push({ name, server });
}
const plan = options.quick ? QUICK : FULL;
const shown = SCENARIOS.filter(({ name }) => options.scenarios?.includes(name) ?? true);
for (const scenario of shown) {
  const samples = takeTurns(driver, running, scenario, plan, (done, all) => {
    Deno.stderr.writeSync(new TextEncoder().encode(`\r${scenario.name} ${done}/${all} `));
  });
  console.log();
  for (const r of summarize(scenario, samples).results) {
    console.log(
      r.contender.padEnd(40),
      r.metric.padEnd(10),
      r.value.median.toFixed(1).padStart(9),
      r.unit.padEnd(3),
      r.ratio?.median.toFixed(2),
      `(${r.ratio?.lower.toFixed(2)}-${r.ratio?.upper.toFixed(2)})`,
    );
  }
}
driver.close();
for (const { server } of running) await server.stop();
Deno.removeSync(temporary, { recursive: true });
