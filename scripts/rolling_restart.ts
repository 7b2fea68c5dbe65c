/** Restarts three nodes behind HAProxy one after the other, under clients that resume and messages between them. */

import { Command } from "commander";
import { printedFile, replaceAll } from "../tests/deploying/document.ts";
import { Foreground } from "../tests/helpers/foreground.ts";
import { findFreePort } from "../tests/helpers/free_port.ts";
import { untilStatus } from "../tests/helpers/health.ts";
import { ServingProgram } from "../tests/helpers/program.ts";
import { TestRedis } from "../tests/helpers/redis.ts";
import { pause } from "./soak/pause.ts";
import { readWhole } from "./read_whole.ts";
import { ResumingClient } from "./soak/resuming_client.ts";
import { RollingLedger, type RollingReport } from "./soak/rolling_ledger.ts";

export const HAPROXY = "/usr/sbin/haproxy";
/** The title of the file of cluster.md. */
const PROXY_FILE = "/etc/haproxy/haproxy.cfg, three nodes";
const NODES = 3;
/** Time before and after each restart, in milliseconds. */
const CALM_MS = 700;
const POLL_MS = 20;
/** The longest that a client may wait for its next connection, in milliseconds. */
const MAX_ABSENCE_MS = 3000;
/** Time within which all that was sent arrives or is reported, in milliseconds. */
const SETTLED_WITHIN_MS = 20_000;

/** Options of a run. */
interface RollingOptions {
  readonly clients: number;
  /** Messages a second, of all clients together. */
  readonly rate: number;
}

/** Nodes at ports that stay, behind the proxy. */
class Nodes implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack;
  readonly #start: (port: number) => Promise<ServingProgram>;
  readonly #ports: readonly number[];
  readonly #nodes = new Map<number, ServingProgram>();

  private constructor(
    resources: AsyncDisposableStack,
    ports: readonly number[],
    readonly url: string,
    start: (port: number) => Promise<ServingProgram>,
  ) {
    this.#resources = resources;
    this.#ports = ports;
    this.#start = start;
  }

  static async start(): Promise<Nodes> {
    await using resources = new AsyncDisposableStack();
    const redis = resources.use(await TestRedis.start());
    const ports = Array.from({ length: NODES }, findFreePort);
    const port = findFreePort();
    const folder = await Deno.makeTempDir();
    resources.defer(() => Deno.remove(folder, { recursive: true }));
    await Deno.writeTextFile(`${folder}/haproxy.cfg`, proxyFile(port, ports));
    const nodes = new Nodes(
      resources.move(),
      ports,
      `ws://127.0.0.1:${port}`,
      (port) =>
        ServingProgram.start([
          ...["--redis", redis.url, "--port", `${port}`, "--drain-delay", "1s"],
          ...["--rate-limit", "0", "--trust-proxy", "127.0.0.1", "--log-level", "error"],
        ]),
    );
    await Promise.all(ports.map((port) => nodes.#join(port)));
    const proxy = new Foreground([HAPROXY, "-db", "-f", `${folder}/haproxy.cfg`]);
    nodes.#resources.use(proxy);
    await proxy.listensOn(port);
    return nodes;
  }

  async #join(port: number): Promise<void> {
    const node = await this.#start(port);
    this.#nodes.set(port, node);
    await untilStatus(node.httpUrl, "ok");
  }

  /** Restarts one node after the other; each has joined before the next one shuts down. */
  async restart(): Promise<void> {
    for (const port of this.#ports) {
      await this.#nodes.get(port)![Symbol.asyncDispose]();
      await this.#join(port);
      await pause(CALM_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes.values()) await node[Symbol.asyncDispose]();
    await this.#resources.disposeAsync();
  }
}

function proxyFile(port: number, ports: readonly number[]): string {
  const servers = ports.map((port, n) => [`10.0.0.2${n + 1}:8765`, `127.0.0.1:${port}`]);
  return `
defaults
    timeout connect 5000
    timeout client 50000
    timeout server 50000

${
    replaceAll(printedFile(PROXY_FILE), {
      ":::80 v4v6": `127.0.0.1:${port}`,
      ...Object.fromEntries(servers),
    })
  }`;
}

/** Restarts the nodes under load, and returns what became of it. */
export async function rollingRestart({ clients, rate }: RollingOptions): Promise<RollingReport> {
  await using nodes = await Nodes.start();
  const ledger = new RollingLedger();
  const all = Array.from(
    { length: clients },
    (_, n) => new ResumingClient(`client ${n}`, nodes.url, ledger),
  );
  await Promise.all(all.map((client) => client.start()));
  let isOver = false;
  const sending = sendAtRate(all, rate, () => isOver);
  await pause(CALM_MS);
  await nodes.restart();
  isOver = true;
  await sending;
  const untilMs = performance.now() + SETTLED_WITHIN_MS;
  const isDone = () => all.every(({ isSettled }) => isSettled) && ledger.missing === 0;
  while (!isDone() && performance.now() < untilMs) await pause(POLL_MS);
  await Promise.all(all.map((client) => client.end()));
  return ledger.report();
}

/** Sends messages between clients that are connected, picked at random. */
async function sendAtRate(
  clients: readonly ResumingClient[],
  rate: number,
  isOver: () => boolean,
): Promise<void> {
  const pick = () => clients[Math.floor(Math.random() * clients.length)]!;
  const startMs = performance.now();
  for (let sent = 0; !isOver(); await pause(POLL_MS)) {
    for (const due = (performance.now() - startMs) * rate / 1000; sent < due; sent++) {
      const [from, to] = [pick(), pick()];
      if (from.isReady && from !== to) from.send(to.id);
    }
  }
}

function readArguments(args: readonly string[]): RollingOptions {
  return new Command("deno task soak:rolling")
    .description("Restarts three nodes behind HAProxy under load. Takes half a minute.")
    .option("--clients <number>", "how many clients", readWhole, 300)
    .option("--rate <number>", "messages a second", readWhole, 300)
    .parse(args, { from: "user" })
    .opts<RollingOptions>();
}

if (import.meta.main) {
  const { longestAbsenceMs, longestDelayMs, violations, ...counts } = await rollingRestart(
    readArguments(Deno.args),
  );
  console.log(counts);
  console.log(`The longest absence was ${Math.round(longestAbsenceMs)} ms.`);
  console.log(`The slowest message took ${Math.round(longestDelayMs)} ms.`);
  for (const violation of violations) console.log(violation);
  if (violations.length > 0 || longestAbsenceMs > MAX_ABSENCE_MS) Deno.exitCode = 1;
}
