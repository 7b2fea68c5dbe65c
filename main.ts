/** The program: arguments and environment in, exit status out. */

import config from "./deno.json" with { type: "json" };
import { systemClock } from "./lib/clock.ts";
import { readCommandLine } from "./lib/command_line.ts";
import type { Events } from "./lib/events.ts";
import { createLog, LineWriter } from "./lib/log.ts";
import { logEvents } from "./lib/log_events.ts";
import { type Options, UsageError } from "./lib/options.ts";
import { Server } from "./lib/server.ts";

const STATUS = { OK: 0, FAILURE: 1, USAGE: 2 } as const;

const SHUTDOWN_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM"];

/** How long the last log lines may take to be written. */
const LAST_LINES_MS = 200;

function main(): void {
  try {
    const task = readCommandLine(Deno.args, Deno.env.toObject(), config.version);
    if (task.kind === "print") print(Deno.stdout, task.text);
    else serve(task.options);
  } catch (error) {
    print(Deno.stderr, `signalbox: ${(error as Error).message}\n`);
    Deno.exit(error instanceof UsageError ? STATUS.USAGE : STATUS.FAILURE);
  }
}

function serve(options: Options): void {
  const lines = new LineWriter(Deno.stderr, (lost) => {
    log.write("warn", `${lost} log lines were lost: stderr did not take them.`, () => ({ lost }));
  });
  const log = createLog(options.logLevel, options.logFormat, (line) => lines.put(line));
  const events = logEvents(log);
  surviveMistakes(events);

  const shutdown = async () => {
    log.write("info", "Shutting down.", () => ({}));
    await server.drain();
    await Promise.race([lines.flush(), wait(LAST_LINES_MS)]);
    Deno.exit(STATUS.OK);
  };
  // Before the server starts: on Deno 2.9.6, running out of file descriptors panics where no signal is listened for.
  onSignal(() => shutdown());
  const server = start(options, events);
  print(Deno.stdout, `signalbox ${config.version} listens on ${webSocketUrl(server.address)}\n`);
}

function start(options: Options, events: Events): Server {
  try {
    return new Server(options, config.version, systemClock, events);
  } catch (error) {
    const { host, port } = options;
    throw new Error(`cannot listen on --host ${host} --port ${port}: ${(error as Error).message}`);
  }
}

/** The last net: a mistake is logged, and the process goes on. */
function surviveMistakes(events: Events): void {
  addEventListener("error", (event) => {
    event.preventDefault();
    events.crashed("callback", event.error);
  });
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    events.crashed("promise", event.reason);
  });
}

/** Calls `shutdown` at the first signal, and ends the process at the second. */
function onSignal(shutdown: () => void): void {
  let isFirst = true;
  for (const signal of SHUTDOWN_SIGNALS) {
    Deno.addSignalListener(signal, () => {
      if (!isFirst) Deno.exit(STATUS.OK);
      isFirst = false;
      shutdown();
    });
  }
}

function webSocketUrl({ hostname, port }: Deno.NetAddr): string {
  return `ws://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** Writes at once; where nobody reads, that is no reason to end. */
function print(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  try {
    stream.writeSync(new TextEncoder().encode(text));
  } catch {
    // closed
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

main();
