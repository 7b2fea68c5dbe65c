/** The metrics that Prometheus gets: their names, what they mean, and where each is read. */

import process from "node:process";
import type { Metrics } from "./metrics.ts";
import { Collector } from "./collector.ts";

/** What the metrics are read from. */
export interface Sources {
  readonly version: string;
  readonly metrics: Metrics;
  readonly server: {
    readonly connections: { readonly size: number };
    readonly clients: number;
    readonly storedMessages: number;
  };
}

/** A collector of everything that there is. */
export async function collectAll(sources: Sources): Promise<Collector> {
  const collector = await Collector.create();
  collectServer(collector, sources);
  collectMessages(collector, sources.metrics);
  collectProcess(collector);
  return collector;
}

function collectServer(collector: Collector, { server, version }: Sources): void {
  collector.info("signalbox_build_info", "1, with the version.", "version", version);
  collector.gauge(
    "signalbox_connections",
    "Open WebSockets, those that have not registered or are closing among them.",
    () => server.connections.size,
  );
  collector.gauge(
    "signalbox_clients",
    "Registered clients that are connected.",
    () => server.clients,
  );
  collector.gauge(
    "signalbox_mailbox_messages",
    "Messages that wait for clients that are not connected.",
    () => server.storedMessages,
  );
}

function collectMessages(collector: Collector, metrics: Metrics): void {
  collector.counters(
    "signalbox_messages_total",
    "Messages of clients that were forwarded, or kept for one that was not connected.",
    "kind",
    () => [["direct", metrics.direct], ["broadcast", metrics.broadcasts]],
  );
  collector.counter(
    "signalbox_deliveries_total",
    "Messages sent to clients: a broadcast counts for each that was sent it.",
    () => metrics.deliveries,
  );
  collector.counters(
    "signalbox_errors_total",
    "Error frames, by their code.",
    "code",
    () => metrics.errors,
  );
  collector.counters(
    "signalbox_closes_total",
    "Connections that ended, by the close code of whoever closed first; 1006: nobody did.",
    "code",
    () => metrics.closes,
  );
  collector.counters(
    "signalbox_refused_total",
    "Upgrades to WebSocket that were refused, by HTTP status.",
    "status",
    () => metrics.refused,
  );
  collector.histogram(
    "signalbox_message_bytes",
    "Size of messages that were forwarded or kept, in UTF-8.",
    metrics.messageBytes,
  );
  collector.histogram(
    "signalbox_relay_seconds",
    "Time from a frame in to its last send; without messages that were kept.",
    metrics.relaySeconds,
  );
}

/** Not prom-client's own: they read /proc, which takes all permissions, and show 0 where they may not. */
function collectProcess(collector: Collector): void {
  collector.counter("process_cpu_seconds_total", "CPU time, user and system.", cpuSeconds);
  collector.gauge(
    "process_resident_memory_bytes",
    "Resident memory.",
    () => Deno.memoryUsage().rss,
  );
  collector.gauge("process_heap_bytes", "JavaScript heap.", () => Deno.memoryUsage().heapTotal);
  collector.gauge(
    "process_start_time_seconds",
    "When the process started, since 1970.",
    () => performance.timeOrigin / 1000,
  );
}

/** CPU time of the process since its start, user and system. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
