/** The program: arguments and environment in, exit status out. */

import config from "./deno.json" with { type: "json" };
import { DEFAULT_ADMIN_ADDRESS, writeAddress } from "./lib/config/admin_address.ts";
import { Admin, type AdminParts } from "./lib/admin/admin.ts";
import { type Authenticator, createAuthenticator, signToken } from "./lib/auth/tokens.ts";
import { systemClock } from "./lib/clock.ts";
import { readCommandLine, type Task } from "./lib/config/command_line.ts";
import type { Emit } from "./lib/events.ts";
import { findFileLimit } from "./lib/file_limit.ts";
import { createLog, LineWriter, type Log } from "./lib/log.ts";
import { createEventLog } from "./lib/log_events.ts";
import { MemoryWatch } from "./lib/memory.ts";
import { Metrics } from "./lib/admin/metrics.ts";
import { type Options, UsageError } from "./lib/config/options.ts";
import { readDocument } from "./lib/http/documents.ts";
import { Server } from "./lib/http/server.ts";

/** Exit statuses. `TEMPORARY_FAILURE` is EX_TEMPFAIL of sysexits.h: a supervisor shall start the program again. */
const STATUS = { OK: 0, FAILURE: 1, USAGE: 2, TEMPORARY_FAILURE: 75 } as const;

const SHUTDOWN_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM"];

/** How long a shutdown for want of memory may take: whoever fills the memory goes on doing so, and never answers a close. */
const MEMORY_DRAIN_TIMEOUT_MS = 250;

/** How long the last log lines may take to be written. */
const LAST_LINES_MS = 200;

async function main(): Promise<void> {
  try {
    await run(readCommandLine(Deno.args, Deno.env.toObject(), config.version));
  } catch (error) {
    print(Deno.stderr, `signalbox: ${messageOf(error)}\n`);
    Deno.exit(error instanceof UsageError ? STATUS.USAGE : STATUS.FAILURE);
  }
}

async function run(task: Task): Promise<void> {
  switch (task.kind) {
    case "print":
      return print(Deno.stdout, task.text);
    case "document":
      return print(Deno.stdout, readDocument(task.topic));
    case "token":
      return print(Deno.stdout, `${await signToken(task)}\n`);
    case "serve":
      return await serve(task.options);
  }
}

async function serve(options: Options): Promise<void> {
  const lines = new LineWriter(Deno.stderr, (lost) => {
    log.write("warn", `${lost} log lines were lost: stderr did not take them.`, () => ({ lost }));
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
  const shutdown = async (status: number, drainTimeoutMs?: number) => {
    await server?.drain(drainTimeoutMs);
    await Promise.race([lines.flush(), wait(LAST_LINES_MS)]);
    Deno.exit(status);
  };
  // Before anything listens: on Deno 2.9.6, running out of file descriptors panics where no signal is listened for.
  onSignal((signal) => {
    log.write("info", `Shutting down (${signal})`, () => ({}));
    shutdown(STATUS.OK);
  });
  warnOfFileLimit(options.maxConnections, log);
  const memory = watchMemory(options.maxMemoryBytes, log, () => {
    shutdown(STATUS.TEMPORARY_FAILURE, Math.min(options.drainTimeoutMs, MEMORY_DRAIN_TIMEOUT_MS));
  });
  const authenticator = await findAuthenticator(options, log);
  server = startServer(options, emit, authenticator, () => memory?.isTight ?? false);
  const admin = metrics && startAdmin(options, { metrics, emit, server }, log);
  await server.join();
  const page = options.noPage ? "" : ` (see it work: ${pageUrl(server)})`;
  const line = `signalbox ${config.version} listens on ${webSocketUrl(server)}${page}\n`;
  const adminLine = admin === null ? "" : `admin page: ${admin.url}\n`;
  print(Deno.stdout, line + adminLine);
}

/** Null where nobody needs a token. */
function findAuthenticator({ authSecret, authJwks }: Options, log: Log) {
  if (authSecret === undefined && authJwks === undefined) return null;
  const keySet = authJwks && {
    url: authJwks,
    clock: systemClock,
    onFailed(error: Error) {
      const message = `The keys of --auth-jwks could not be fetched: ${error.message}`;
      log.write("warn", message, () => ({}));
    },
  };
  return createAuthenticator(authSecret, keySet);
}

function startServer(
  options: Options,
  emit: Emit,
  authenticator: Authenticator | null,
  isMemoryTight: () => boolean,
): Server {
  const { host, port, tlsCert, tlsKey } = options;
  const tls = readTls(options);
  const parts = {
    version: config.version,
    clock: systemClock,
    emit,
    authenticator,
    tls,
    isMemoryTight,
  };
  try {
    return new Server(options, parts);
  } catch (error) {
    const withTls = tls === null ? "" : ` with --tls-cert ${tlsCert} and --tls-key ${tlsKey}`;
    throw new Error(
      `cannot listen on --host ${host} --port ${port}${withTls}: ${messageOf(error)}`,
    );
  }
}

type AdminRest = Pick<AdminParts, "metrics" | "emit" | "server">;

/** Starts the admin listener. Where nobody asked for it, the server does without rather than not start: then null. */
function startAdmin(options: Options, rest: AdminRest, log: Log): Admin | null {
  const { admin: asked, adminPassword: password } = options;
  const address = asked ?? DEFAULT_ADMIN_ADDRESS;
  try {
    const parts = { version: config.version, clock: systemClock, password, ...rest };
    return new Admin(address, parts);
  } catch (error) {
    const cannot = `cannot listen on --admin ${writeAddress(address)}: ${messageOf(error)}`;
    if (asked !== undefined) throw new Error(cannot);
    log.write("warn", `No admin page: ${cannot}`, () => ({}));
    return null;
  }
}

function readTls({ tlsCert, tlsKey }: Options): { cert: string; key: string } | null {
  if (tlsCert === undefined || tlsKey === undefined) return null;
  return { cert: readFile("--tls-cert", tlsCert), key: readFile("--tls-key", tlsKey) };
}

function readFile(flag: string, path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new Error(`cannot read ${flag} ${path}: ${messageOf(error)}`);
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

function watchMemory(limitBytes: number | undefined, log: Log, shutdown: () => void) {
  if (limitBytes === undefined) return null;
  const read = () => Deno.memoryUsage().rss;
  return new MemoryWatch(systemClock, limitBytes, read, (bytes) => {
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

function webSocketUrl({ address: { hostname, port }, isSecure }: Server): string {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return `${isSecure ? "wss" : "ws"}://${host}:${port}`;
}

/** Where a person finds the page; from this machine, if it listens on all addresses. */
function pageUrl(server: Server): string {
  const url = new URL(webSocketUrl(server).replace(/^ws/, "http"));
  if (url.hostname === "0.0.0.0" || url.hostname === "[::]") url.hostname = "localhost";
  return url.href;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Writes at once; where nobody reads, that is no reason to end. */
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
