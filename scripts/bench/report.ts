/** The output of the benchmark: each scenario's numbers as they come, and a table of all at the end. */

import { BASELINE, type Contender } from "./contenders.ts";
import type { Machine } from "./machine.ts";
import type { MetricResults, Result, ScenarioRun } from "./results.ts";
import type { Spread } from "./statistics.ts";

/** One scenario: for each metric, a line for each contender, with quartiles. */
export function scenarioLines({ name, what, metrics }: ScenarioRun): string {
  return `${name}: ${what}\n${metrics.map(metricLines).join("\n")}`;
}

function metricLines({ metric, results }: MetricResults): string {
  const width = Math.max(...results.map(({ contender }) => contender.length));
  const lines = results.map(({ contender, value, ratio }) => {
    const numbers = `${show(value.median).padStart(6)} ${quartiles(value, show).padEnd(13)}`;
    const compared = ratio && `${twoDigits(ratio.median)} ${quartiles(ratio, twoDigits)}`;
    return `    ${contender.padEnd(width)} ${numbers} ${compared ?? ""}`.trimEnd();
  });
  return `  ${metric.label}, ${metric.unit}\n${lines.join("\n")}\n`;
}

function quartiles({ lower, upper }: Spread, write: (value: number) => string): string {
  return `(${write(lower)}–${write(upper)})`;
}

function twoDigits(value: number): string {
  return value.toFixed(2);
}

/** A number with the digits that mean something: 1.6, 15.7, 382, 149k. */
export function show(value: number): string {
  if (value >= 9999.5) return `${Math.round(value / 1000)}k`;
  return value.toFixed(value < 99.95 ? 1 : 0);
}

/** A table in Markdown: a row for each contender, a column for each metric, ratios in brackets. */
export function table(metrics: readonly MetricResults[], heading = "relay"): string {
  const columns = metrics.map(({ scenario, metric }) =>
    `${scenario} ${metric.name}, ${metric.unit}`.trimStart()
  );
  const contenders = new Set(metrics.flatMap(({ results }) => results.map((r) => r.contender)));
  const rows = [...contenders].map((contender) => [
    contender,
    ...metrics.map(({ results }) => cell(results.find((r) => r.contender === contender))),
  ]);
  const lines = [[heading, ...columns], ["---", ...columns.map(() => "---:")], ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

function cell(result: Result | undefined): string {
  if (result === undefined) return "";
  const { value, ratio } = result;
  if (ratio === null) return show(value.median);
  return `${show(value.median)} (${twoDigits(ratio.median)})`;
}

/** Explains the numbers, and the machine and versions that they come from. */
export function legend(
  machine: Machine,
  contenders: readonly Contender[],
  baseline = BASELINE,
): string {
  const versions = contenders.map(({ name, version }) => `${name}: ${version}`);
  return `Medians; in brackets the ratio to ${baseline}, taken within a turn. CPU is the server's, kernel included.
Below 5 per cent, a difference is noise.
${machineLine(machine)}
${versions.join("; ")}
`;
}

export function machineLine({ cpu, cores, memoryGiB, kernel }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}`;
}

/** Writes all there is to a file, as JSON. */
export function writeJson(file: string, report: object): void {
  const json = JSON.stringify(
    { measuredAt: new Date(), ...report },
    (_, value) => value instanceof Map ? Object.fromEntries(value) : value,
    2,
  );
  Deno.writeTextFileSync(file, json + "\n");
}
