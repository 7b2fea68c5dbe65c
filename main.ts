/** The program: arguments and environment in, exit status out. */

import process from "node:process";
import config from "./deno.json" with { type: "json" };
import { DEFAULT_ADMIN_ADDRESS, writeAddress } from "./lib/config/admin_address.ts";
import { Admin, type AdminDeps } from "./lib/admin/admin.ts";
import { type Authenticator, createAuthenticator, signToken } from "./lib/auth/tokens.ts";
import { checkServer } from "./lib/check/check.ts";
import { checkHealth } from "./lib/check/healthcheck.ts";
import { systemClock } from "./lib/clock.ts";
import { readCommandLine, type Task } from "./lib/config/command_line.ts";
import type { Emit } from "./lib/events.ts";
import { asSentence, createLog, type Fields, LineWriter, type Log, messageOf } from "./lib/log.ts";
import { createEventLog } from "./lib/log_events.ts";
import {
  dropPermissions,
  findFileLimit,
  MemoryWatch,
  networkAddress,
  usableMemoryBytes,
} from "./lib/process.ts";
import { Metrics } from "./lib/admin/metrics.ts";
import { type Options, UsageError } from "./lib/config/options.ts";
import { readDocument } from "./lib/http/documents.ts";
import { Certificate, type TlsFiles } from "./lib/http/certificate.ts";
import { explainListening, isPortFree } from "./lib/http/listen_errors.ts";
import { Server } from "./lib/http/server.ts";

/** Exit statuses. `TEMPORARY_FAILURE` is EX_TEMPFAIL of sysexits.h: a supervisor shall start the program again. */
const STATUS = { OK: 0, FAILURE: 1, USAGE: 2, TEMPORARY_FAILURE: 75 } as const;

const SHUTDOWN_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM"];

/** Drain timeout of a shutdown for want of memory, in milliseconds. The clients that fill it may never answer a close. */
const MEMORY_DRAIN_TIMEOUT_MS = 250;

/** The time for the last log lines to be written, in milliseconds. */
const LAST_LINES_MS = 200;

async function main(): Promise<void> {
  Object.assign(process, { noDeprecation: true }); // Deno 2.4's node:crypto and node:dns warn of themselves
  try {
    const system = { memoryBytes: usableMemoryBytes(), readTextFile: Deno.readTextFileSync };
    await run(readCommandLine(Deno.args, Deno.env.toObject(), describeVersion(), system));
  } catch (error) {
    print(Deno.stderr, `signalbox: ${asSentence(messageOf(error))}\n`);
    Deno.exit(error instanceof UsageError ? STATUS.USAGE : STATUS.FAILURE);
  }
}

/** Names what a report of a bug needs: version, runtime and machine. */
function describeVersion(): string {
  return `signalbox ${config.version} (Deno ${Deno.version.deno}, ${Deno.build.target})`;
}

async function run(task: Task): Promise<void> {
  switch (task.kind) {
    case "print":
      return print(Deno.stdout, task.text);
    case "document":
      return print(Deno.stdout, readDocument(task.topic));
    case "token":
      return print(Deno.stdout, `${await signToken(task)}\n`);
    case "check": {
      const isGood = await checkServer(task.request, (line) => print(Deno.stdout, `${line}\n`));
      return Deno.exit(isGood ? STATUS.OK : STATUS.FAILURE); // an attempt to connect may still wait
    }
    case "healthcheck":
      return print(Deno.stdout, `${await checkHealth(task.url)}\n`);
    case "serve":
      return await serve(task.options, task.warnings);
  }
}

async function serve(options: Options, warnings: readonly string[]): Promise<void> {
  const lines = new LineWriter(Deno.stderr, (count) => {
    const message = `Dropped ${count} log lines: stderr is blocked.`;
    log.write("warn", message, () => ({ dropped: count }));
  });
  const log = createLog(options.logLevel, options.logFormat, (line) => lines.put(line));
  const metrics = options.admin === null ? null : new Metrics(systemClock);
  const logEvent = createEventLog(log, systemClock);
  const emit: Emit = (event) => {
    metrics?.observe(event);
    logEvent(event);
  };
  surviveInternalErrors(emit);

  let server: Server | null = null;
  const shutdown = async (status: number, drainTimeoutMs?: number, drainDelayMs?: number) => {
    try {
      await server?.drain(drainTimeoutMs, drainDelayMs);
    } catch (error) {
      emit({ kind: "internal_error", where: "shutdown", error });
    } finally {
      await Promise.race([lines.flush(), wait(LAST_LINES_MS)]);
      Deno.exit(status);
    }
  };
  // Before anything listens: on Deno 2.9.6, running out of file descriptors panics if no signal is listened for.
  onSignal((signal) => {
    log.write("info", `Shutting down (${signal})`);
    shutdown(STATUS.OK);
  });
  for (const warning of warnings) log.write("warn", warning);
  warnOfFileLimit(options.maxConnections, log);
  const memory = watchMemory(options.maxMemoryBytes, log, () => server?.heldBytes ?? 0, () => {
    const timeoutMs = Math.min(options.drainTimeoutMs, MEMORY_DRAIN_TIMEOUT_MS);
    shutdown(STATUS.TEMPORARY_FAILURE, timeoutMs, 0);
  });
  const authenticator = await findAuthenticator(options, log);
  const certificate = new Certificate(options, systemClock, log);
  onHangup(() => certificate.reload(server));
  server = startServer(options, emit, authenticator, certificate.files, () => memory.isTight);
  const admin = metrics && startAdmin(options, { metrics, emit, server }, log);
  await server.join();
  printStart(options, server, admin);
  dropPermissions(certificate.files !== null);
}

/** Returns null if clients need no token. */
function findAuthenticator({ authSecrets = [], authJwks }: Options, log: Log) {
  if (authSecrets.length === 0 && authJwks === undefined) return null;
  const keySet = authJwks && {
    url: authJwks,
    clock: systemClock,
    onFailed(error: Error) {
      const message = `The keys of --auth-jwks could not be fetched: ${error.message}`;
      log.write("warn", message);
    },
  };
  return createAuthenticator(authSecrets, keySet);
}

function startServer(
  options: Options,
  emit: Emit,
  authenticator: Authenticator | null,
  tls: TlsFiles | null,
  isMemoryTight: () => boolean,
): Server {
  const { host, port, tlsCert, tlsKey } = options;
  const deps = {
    version: config.version,
    clock: systemClock,
    emit,
    authenticator,
    tls,
    isMemoryTight,
  };
  try {
    return new Server(options, deps);
  } catch (error) {
    const withTls = tls === null ? "" : ` with --tls-cert ${tlsCert} and --tls-key ${tlsKey}`;
    const reason = explainListening(error, port, (other) => isPortFree(host, other));
    throw new Error(`cannot listen on --host ${host} --port ${port}${withTls}: ${reason}`);
  }
}

/** Prints the addresses of the listeners: as lines for a person, or as JSON. */
function printStart({ noPage, logFormat }: Options, server: Server, admin: Admin | null): void {
  const url = webSocketUrl(server, server.address.hostname);
  const page = noPage ? undefined : pageUrl(server);
  const listening = `signalbox ${config.version} listens on ${url}`;
  const start: [message: string, fields: Fields][] = [
    [page === undefined ? listening : `${listening} (see it work: ${page})`, { url, page }],
  ];
  const network = isEveryAddress(server.address.hostname) ? networkAddress() : null;
  if (network !== null) {
    const networkUrl = webSocketUrl(server, network);
    start.push([`other machines: ${networkUrl}`, { url: networkUrl }]);
  }
  if (admin !== null) start.push([`admin page: ${admin.url}`, { page: admin.url }]);
  const lines: string[] = [];
  const log = createLog("info", logFormat, (line) => lines.push(line));
  for (const [message, fields] of start) {
    if (logFormat === "text") lines.push(message);
    else log.write("info", message, () => fields);
  }
  print(Deno.stdout, `${lines.join("\n")}\n`);
}

type AdminRest = Pick<AdminDeps, "metrics" | "emit" | "server">;

/** Starts the admin listener. Without `--admin`, a failure is only logged; then null. */
function startAdmin(options: Options, rest: AdminRest, log: Log): Admin | null {
  const { admin: asked, adminPassword: password } = options;
  const address = asked ?? DEFAULT_ADMIN_ADDRESS;
  try {
    const deps = { version: config.version, clock: systemClock, password, ...rest };
    return new Admin(address, deps);
  } catch (error) {
    const reason = explainListening(
      error,
      address.port,
      (port) => isPortFree(address.hostname, port),
      (port) => `--admin ${writeAddress({ ...address, port })}`,
    );
    const cannot = `cannot listen on --admin ${writeAddress(address)}: ${reason}`;
    if (asked !== undefined) throw new Error(cannot);
    log.write("warn", `No admin page: ${cannot}`);
    return null;
  }
}

function warnOfFileLimit(maxConnections: number, log: Log): void {
  const limit = findFileLimit(maxConnections, () => Deno.openSync(Deno.execPath()));
  if (limit === null) return;
  const message =
    `Only ${limit} files can be open, too few for --max-connections ${maxConnections}: ` +
    "raise the limit (ulimit -n, LimitNOFILE)";
  log.write("warn", message, () => ({ limit }));
}

function watchMemory(
  limitBytes: number,
  log: Log,
  heldBytes: () => number,
  shutdown: () => void,
): MemoryWatch {
  const collect = () => (globalThis as { gc?(): void }).gc?.(); // with --v8-flags=--expose-gc
  const probe = { usage: Deno.memoryUsage, collect, heldBytes };
  return new MemoryWatch(systemClock, limitBytes, probe, (bytes) => {
    const message = `Shutting down: ${bytes} bytes of memory, over --max-memory ${limitBytes}`;
    log.write("warn", message, () => ({ bytes }));
    shutdown();
  });
}

/** Logs what no other code has caught, and lets the process go on. */
function surviveInternalErrors(emit: Emit): void {
  addEventListener("error", (event) => {
    event.preventDefault();
    emit({ kind: "internal_error", where: "callback", error: event.error });
  });
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    emit({ kind: "internal_error", where: "promise", error: event.reason });
  });
}

/** Calls `shutdown` at the first signal, and ends the process at the second. */
function onSignal(shutdown: (signal: Deno.Signal) => void): void {
  let isFirst = true;
  for (const signal of SHUTDOWN_SIGNALS) {
    Deno.addSignalListener(signal, () => {
      if (!isFirst) Deno.exit(STATUS.OK);
      isFirst = false;
      shutdown(signal);
    });
  }
}

/** SIGHUP never ends the process. */
function onHangup(reload: () => void): void {
  Deno.addSignalListener("SIGHUP", reload);
}

function webSocketUrl({ address: { port }, isSecure }: Server, hostname: string): string {
  return `${isSecure ? "wss" : "ws"}://${writeAddress({ hostname, port })}`;
}

/** Returns the address of the page, as seen from this machine. */
function pageUrl(server: Server): string {
  const { hostname } = server.address;
  const own = isEveryAddress(hostname) ? "localhost" : hostname;
  return new URL(webSocketUrl(server, own).replace(/^ws/, "http")).href;
}

function isEveryAddress(hostname: string): boolean {
  return hostname === "0.0.0.0" || hostname === "::";
}

/** Writes synchronously. A closed stream does not end the process. */
function print(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  try {
    const bytes = new TextEncoder().encode(text);
    for (let written = 0; written < bytes.length;) {
      written += stream.writeSync(bytes.subarray(written));
    }
  } catch {
    // closed
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

await main();
