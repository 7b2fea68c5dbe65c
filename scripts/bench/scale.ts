/** Measures a node with many clients. Prints numbers, and draws curves. */

import { Command } from "commander";
import { SignJWT } from "jose";
import { type Chart, drawChart, type Point } from "./chart.ts";
import { BASELINE, chooseContenders, type Contender } from "./contenders.ts";
import { Driver } from "./driver.ts";
import { describeMachine } from "./machine.ts";
import { readWhole } from "../read_whole.ts";
import { Progress } from "./progress.ts";
import { writeJson } from "./report.ts";
import { type Bench, startServer, withBench, withNewServer } from "./run.ts";
import { Crowd, type CrowdPlan, type CrowdPoint, measureCrowds } from "./scale/crowd.ts";
import { type Gathering, measureRoom, type RoomPlan, type RoomResult } from "./scale/room.ts";
import { measureStart, type Start, type StartPlan } from "./scale/start.ts";
import { measureStorm, type Storm } from "./scale/storm.ts";
import type { ServerProcess } from "./server_process.ts";

interface Arguments {
  readonly quick?: true;
  readonly clients: number;
  readonly main: readonly string[];
  readonly with: readonly string[];
  readonly executable?: string;
  readonly json?: string;
  readonly svg?: string;
}

interface ScalePlan {
  readonly start: StartPlan;
  readonly crowd: CrowdPlan;
  readonly storms: readonly number[];
  readonly rooms: readonly RoomPlan[];
}

const IDLE_STEPS = [0, 0.2, 0.4, 0.6, 0.8, 1];
const fullPlan = (clients: number): ScalePlan => ({
  start: { starts: 9, quietMs: 2000 },
  crowd: {
    activePairs: 1000,
    idleClients: IDLE_STEPS.map((part) => Math.round(part * clients)),
    slices: 20,
    sliceMs: 200,
    quietMs: 5000,
  },
  storms: [1000, 2500, 5000, 10_000],
  rooms: [...roomsOf(true, 250, 500, 1000, 2000), ...roomsOf("batch", 500, 1000, 2000, 5000)],
});
const QUICK: ScalePlan = {
  start: { starts: 3, quietMs: 500 },
  crowd: { activePairs: 100, idleClients: [0, 500, 1000], slices: 5, sliceMs: 100, quietMs: 500 },
  storms: [500, 1000],
  rooms: [...roomsOf(true, 100, 200, 400), ...roomsOf("batch", 200, 400)],
};

/** The results of one contender. */
interface ScaleResult {
  readonly contender: string;
  readonly start: Start;
  readonly crowd: readonly CrowdPoint[];
  readonly storms: readonly Storm[];
  /** Undefined without presence. */
  readonly rooms: readonly RoomResult[];
}

async function main(): Promise<void> {
  const given = readArguments(Deno.args);
  const plan = given.quick ? QUICK : fullPlan(given.clients);
  const progress = new Progress(Deno.stderr);
  const wanted = { ...given, levels: ["warn"], relays: [] };
  const contenders = await chooseContenders(wanted, (line) => progress.say(line));
  const results = await withBench(progress, (bench) => measureScale(bench, contenders, plan));
  const machine = describeMachine();
  if (given.json !== undefined) writeJson(given.json, { machine, contenders, plan, results });
  if (given.svg !== undefined) writeCharts(given.svg, results);
}

function roomsOf(presence: RoomPlan["presence"], ...members: number[]): RoomPlan[] {
  return members.map((members) => ({ members, presence }));
}

function readArguments(args: readonly string[]): Arguments {
  const source = Deno.realPathSync(`${import.meta.dirname}/../../main.ts`);
  return new Command("deno task bench:scale")
    .description(
      "Measures what a node does with many clients. Takes seven minutes, and a file (ulimit -n) for each.",
    )
    .option("--quick", "with a tenth of the clients")
    .option("--clients <number>", "how many idle ones there are in the end", readWhole, 10_000)
    .option("--main <files...>", "the main.ts to measure; several: one after the other", [source])
    .option("--executable <file>", "measure this, too")
    .option("--with <options...>", 'with options, too: --with "--redis redis://…"', [])
    .option("--json <file>", "write all numbers there")
    .option("--svg <directory>", "draw the curves there")
    .parse(args, { from: "user" })
    .opts<Arguments>();
}

/** Measures all contenders. */
export async function measureScale(
  bench: Bench,
  contenders: readonly Contender[],
  plan: ScalePlan,
): Promise<ScaleResult[]> {
  const starts: Start[] = [];
  for (const contender of contenders) {
    starts.push(await measureStart(bench, contender, plan.start));
    bench.progress.say(`${contender.name}: ${startLine(starts.at(-1)!)}`);
  }
  const curves = await runCrowds(bench, contenders, plan.crowd);
  const results: ScaleResult[] = [];
  for (const [index, contender] of contenders.entries()) {
    const [start, crowd] = [starts[index]!, curves[index]!];
    const rushes = await runRushes(bench, contender, plan);
    results.push({ contender: contender.name, start, crowd, ...rushes });
  }
  return results;
}

/** Measures crowds at all contenders at the same time, so that their curves can be compared. */
async function runCrowds(bench: Bench, contenders: readonly Contender[], plan: CrowdPlan) {
  const driver = new Driver();
  const servers: ServerProcess[] = [];
  try {
    for (const contender of contenders) servers.push(await startServer(bench, contender));
    await using crowds = new AsyncDisposableStack(); // they leave before the servers end
    const all = servers.map((server) => crowds.use(new Crowd(driver, server, plan)));
    return await measureCrowds(all, plan, (points) => {
      bench.signal.throwIfAborted();
      for (const [index, point] of points.entries()) {
        bench.progress.say(`${contenders[index]!.name}: ${crowdLine(point)}`);
      }
    });
  } finally {
    driver.close();
    await Promise.all(servers.map((server) => server.stop()));
  }
}

const SECRET = "a secret of thirty-two characters";

function newToken(): Promise<string> {
  return new SignJWT().setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(SECRET));
}

/** Measures storms of clients at one contender, with a new server for each. */
async function runRushes(
  bench: Bench,
  contender: Contender,
  plan: ScalePlan,
): Promise<Pick<ScaleResult, "storms" | "rooms">> {
  const { name } = contender;
  const say = (line: string) => bench.progress.say(`${name}: ${line}`);
  const storms: Storm[] = [];
  for (const count of plan.storms) {
    for (const token of name === BASELINE ? [null] : [null, await newToken()]) {
      const measure = (driver: Driver, server: ServerProcess) =>
        measureStorm(driver, server, count, token);
      const more = token === null ? [] : ["--auth-secret", SECRET];
      const started = { ...contender, command: [...contender.command, ...more] };
      storms.push(await withNewServer(bench, started, measure));
      say(stormLine(storms.at(-1)!));
    }
  }
  const rooms: RoomResult[] = [];
  for (const room of name === BASELINE ? [] : plan.rooms) {
    const measure = (driver: Driver, server: ServerProcess) => measureRoom(driver, server, room);
    rooms.push(await withNewServer(bench, contender, measure));
    say(roomLine(rooms.at(-1)!));
  }
  return { storms, rooms };
}

function startLine({ listensAfterMs, quietPercent, residentMB }: Start): string {
  return `listens ${ms(listensAfterMs)} after its start; without a client it takes ` +
    `${quietPercent.toFixed(1)} % of a core and ${residentMB.toFixed(0)} MB`;
}

function crowdLine(point: CrowdPoint): string {
  const { clients, cpuMicrosPerMessage, cpuMicrosPerConnection, quietPercent, residentMB } = point;
  return `${clients} clients: ${cpuMicrosPerMessage.toFixed(1)} µs of CPU for each message, ` +
    `${cpuMicrosPerConnection.toFixed(0)} µs for each new client, ` +
    `${quietPercent.toFixed(1)} % of a core while all are quiet, ${residentMB.toFixed(0)} MB`;
}

function stormLine(storm: Storm): string {
  const { clients, hasTokens, allRegisteredMs, medianWaitMs, longestWaitMs } = storm;
  return `${clients} clients${
    hasTokens ? " with tokens" : ""
  } come within a second: all registered after ${ms(allRegisteredMs)}, ` +
    `a client waits ${ms(medianWaitMs)} (at most ${ms(longestWaitMs)}), ` +
    `${storm.cpuMicrosPerConnection.toFixed(0)} µs of CPU each`;
}

function roomLine({ presence, joined, cameBack, resumed, broadcast }: RoomResult): string {
  const phrase = (what: string, { registeredMs, wallMs, cpuMs, presenceNotices }: Gathering) =>
    `${what} ${ms(wallMs)} (registered within ${ms(registeredMs)}), ${ms(cpuMs)} of CPU, ` +
    `${presenceNotices} presence notices`;
  return `a room of ${joined.members} with "presence":${JSON.stringify(presence)}: ${
    phrase("joined within", joined)
  }; ` +
    phrase("all cut off, and back within", cameBack) + "; " +
    phrase("with resume, within", resumed) + "; " +
    `a broadcast reaches the last one after ${ms(broadcast.wallMs)}, ${ms(broadcast.cpuMs)} of CPU`;
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}

function writeCharts(directory: string, results: readonly ScaleResult[]): void {
  Deno.mkdirSync(directory, { recursive: true });
  for (const [file, chart] of Object.entries(charts(results))) {
    Deno.writeTextFileSync(`${directory}/${file}.svg`, drawChart(chart));
  }
}

function charts(results: readonly ScaleResult[]): Record<string, Chart> {
  const crowdSeries = (y: (point: CrowdPoint) => number) =>
    results.map(({ contender, crowd }) => ({
      name: contender,
      isReference: contender === BASELINE,
      points: crowd.map((point): Point => ({ x: point.clients, y: y(point) })),
    }));
  return {
    "cpu-per-message": {
      title: "CPU for each message, µs",
      xLabel: "clients connected",
      series: crowdSeries(({ cpuMicrosPerMessage }) => cpuMicrosPerMessage),
    },
    "memory": {
      title: "Memory of the server, MB",
      xLabel: "clients connected",
      series: crowdSeries(({ residentMB }) => residentMB),
    },
  };
}

if (import.meta.main) await main();
