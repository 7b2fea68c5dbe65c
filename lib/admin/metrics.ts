/** Counts events, and writes metrics in Prometheus' text format. */

import process from "node:process";
import type { Clock } from "../clock.ts";
import type { Event, MessageInfo } from "../events.ts";
import { CLOSE_CODES, ERROR_CODES, type ErrorCode } from "../relay/vocabulary.ts";

const KIB = 1024;
const MESSAGE_BYTES_BOUNDS = [
  ...[64, 128, 256, 512, KIB, 2 * KIB, 4 * KIB, 8 * KIB],
  ...[16 * KIB, 64 * KIB, 256 * KIB, KIB * KIB],
];
const RELAY_SECONDS_BOUNDS = [
  ...[0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005],
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
];

/** HTTP statuses of refused upgrades. Each has a series from the start. */
const REFUSAL_STATUSES = [400, 403, 426, 429, 503];

/** The runtime's code for a connection that ended without a close frame. */
const NO_CLOSE_FRAME = 0;
/** The code of such an end in metrics (RFC 6455 section 7.4.1). */
const ABNORMAL_CLOSURE = 1006;
/** The codes with a series of their own. The thousands of others, which a client can send, share one. */
const COUNTED_CLOSE_CODES = new Set<number>(
  [1000, 1001, 1002, 1005, ABNORMAL_CLOSURE, 1007, ...Object.values(CLOSE_CODES)],
);

/** Counts values by size, with a few comparisons for each. */
export class Histogram {
  count = 0;
  sum = 0;
  readonly #bounds: readonly number[];
  readonly #counts: number[];

  /** @param bounds upper bounds of the buckets, in rising order; larger values are in `count` and `sum` alone */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.count++;
    this.sum += value;
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    if (bucket < bounds.length) this.#counts[bucket]!++;
  }

  /** Returns each bound with the number of values that are not above it. */
  buckets(): [bound: number, count: number][] {
    let total = 0;
    return this.#bounds.map((bound, i) => [bound, total += this.#counts[i]!]);
  }
}

/** Counts since the start. */
interface Counts {
  /** Connections, however they ended. */
  opened: number;
  /** Messages for one client that were sent or stored. */
  direct: number;
  broadcasts: number;
  /** Messages sent to clients: a broadcast counts once for each recipient. */
  deliveries: number;
  /** Error notices of all codes. */
  errors: number;
}

export class Metrics {
  readonly #clock: Clock;
  readonly #counts: Counts = { opened: 0, direct: 0, broadcasts: 0, deliveries: 0, errors: 0 };
  readonly #errors = new Map<ErrorCode, number>(ERROR_CODES.map((code) => [code, 0]));
  readonly #closes = new Map<number | "other", number>(
    [...COUNTED_CLOSE_CODES, "other" as const].map((code) => [code, 0]),
  );
  readonly #refusals = new Map<number, number>(REFUSAL_STATUSES.map((status) => [status, 0]));
  /** Sizes of messages as received, in bytes of UTF-8. */
  readonly messageBytes = new Histogram(MESSAGE_BYTES_BOUNDS);
  /** Time from a message's arrival to its last send. Stored messages are left out: they wait for their target. */
  readonly relaySeconds = new Histogram(RELAY_SECONDS_BOUNDS);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get counts(): Readonly<Counts> {
    return this.#counts;
  }

  /** Error notices by code. Each code is there from the start. */
  get errors(): ReadonlyMap<ErrorCode, number> {
    return this.#errors;
  }

  /**
   * Connections that ended, by the code of the side that closed first, or 1006 if there was no close frame. If the
   * server closes, the connection counts at that moment: a client that does not read may stay for long.
   */
  get closes(): ReadonlyMap<number | "other", number> {
    return this.#closes;
  }

  /** Refused upgrades by their HTTP status. */
  get refusals(): ReadonlyMap<number, number> {
    return this.#refusals;
  }

  observe(event: Event): void {
    switch (event.kind) {
      case "sent":
        this.#counts.direct++;
        this.#counts.deliveries++;
        return this.#observeMessage(event.message);
      case "broadcast":
        this.#counts.broadcasts++;
        this.#counts.deliveries += event.recipients;
        return this.#observeMessage(event.message);
      case "stored":
        this.#counts.direct++;
        return this.messageBytes.observe(event.message.bytes);
      case "stored_delivered":
        this.#counts.deliveries++;
        return;
      case "error_sent":
        this.#counts.errors++;
        return increment(this.#errors, event.code);
      case "connection_opened":
        this.#counts.opened++;
        return;
      case "connection_refused":
        return increment(this.#refusals, event.status);
      case "closing":
        return increment(this.#closes, CLOSE_CODES[event.reason]);
      case "connection_closed":
        if (event.reason === null) this.#countClose(event.code); // else it was counted when the server closed it
        return;
    }
  }

  #observeMessage({ bytes, receivedAtMs }: MessageInfo): void {
    this.messageBytes.observe(bytes);
    this.relaySeconds.observe((this.#clock.now() - receivedAtMs) / 1000);
  }

  #countClose(code: number): void {
    const counted = code === NO_CLOSE_FRAME ? ABNORMAL_CLOSURE : code;
    increment(this.#closes, COUNTED_CLOSE_CODES.has(counted) ? counted : "other");
  }
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** The part of a server that metrics read. */
export interface MeasuredServer {
  readonly connections: Iterable<{ readonly session: { readonly dialect: string | null } | null }>;
  /** The number of clients that are registered and connected. */
  readonly clients: number;
  /** The number of stored messages. */
  readonly storedMessages: number;
  /** True while Redis can be used; null without a cluster. */
  readonly isClusterUp: boolean | null;
}

/** The content type of the text format (https://prometheus.io/docs/instrumenting/exposition_formats/). */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Writes all metrics in Prometheus' text format. */
export function metricsText(version: string, metrics: Metrics, server: MeasuredServer): string {
  const { direct, broadcasts, deliveries } = metrics.counts;
  const { rss, heapTotal } = Deno.memoryUsage();
  const connections = [...server.connections];
  return [
    gauge("signalbox_build_info", "1, with the version.", [[version, 1]], "version"),
    gauge("signalbox_connections", "Open WebSockets, closing ones among them.", connections.length),
    gauge("signalbox_clients", "Registered clients that are connected.", server.clients),
    gauge("signalbox_dialect_clients", "Clients by dialect.", dialectsOf(connections), "dialect"),
    gauge("signalbox_mailbox_messages", "Stored messages.", server.storedMessages),
    counter(
      "signalbox_messages_total",
      "Messages from clients, sent or stored.",
      [["direct", direct], ["broadcast", broadcasts]],
      "kind",
    ),
    counter("signalbox_deliveries_total", "Messages sent to clients.", deliveries),
    counter("signalbox_errors_total", "Error notices by code.", metrics.errors, "code"),
    counter(
      "signalbox_closes_total",
      "Ended connections by the code of the side that closed first; 1006: no close frame.",
      metrics.closes,
      "code",
    ),
    counter("signalbox_refused_total", "Refused upgrades.", metrics.refusals, "status"),
    histogram("signalbox_message_bytes", "Size of messages, in UTF-8.", metrics.messageBytes),
    histogram("signalbox_relay_seconds", "From arrival to last send.", metrics.relaySeconds),
    server.isClusterUp === null
      ? ""
      : gauge("signalbox_cluster_up", "Whether Redis can be used.", Number(server.isClusterUp)),
    counter("process_cpu_seconds_total", "CPU time, user and system.", cpuSeconds()),
    gauge("process_resident_memory_bytes", "Resident memory.", rss),
    gauge("process_heap_bytes", "JavaScript heap.", heapTotal),
    gauge("process_start_time_seconds", "Start, since 1970.", performance.timeOrigin / 1000),
  ].join("");
}

/** One number, or numbers by the value of a label. */
type Values = number | Iterable<readonly [labelValue: string | number, value: number]>;

function gauge(name: string, help: string, values: Values, label?: string): string {
  return headOf(name, "gauge", help) + linesOf(name, values, label);
}

function counter(name: string, help: string, values: Values, label?: string): string {
  return headOf(name, "counter", help) + linesOf(name, values, label);
}

function histogram(name: string, help: string, source: Histogram): string {
  const buckets = [...source.buckets(), ["+Inf", source.count] as const];
  return headOf(name, "histogram", help) + linesOf(`${name}_bucket`, buckets, "le") +
    linesOf(`${name}_sum`, source.sum) + linesOf(`${name}_count`, source.count);
}

function headOf(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function linesOf(name: string, values: Values, label?: string): string {
  if (typeof values === "number") return `${name} ${values}\n`;
  return Array.from(values, ([key, value]) => `${name}{${label}="${key}"} ${value}\n`).join("");
}

function dialectsOf(connections: Iterable<{ session: { dialect: string | null } | null }>) {
  const dialects = new Map<string, number>([["core", 0]]);
  for (const { session } of connections) {
    if (session !== null) increment(dialects, session.dialect ?? "core");
  }
  return dialects;
}

/** Returns the CPU time of the process since its start, user and system, in seconds. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
