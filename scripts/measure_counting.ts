/**
 * What counting costs a message, from the frame in to its last send, without sockets:
 * `deno run --allow-env scripts/measure_counting.ts`.
 */

import { systemClock } from "../lib/clock.ts";
import { Connection, type Socket } from "../lib/relay/connection.ts";
import { type Events, tellBoth } from "../lib/events.ts";
import { logEvents } from "../lib/log_events.ts";
import { Metrics } from "../lib/admin/metrics.ts";
import { Registrar } from "../lib/relay/registration.ts";
import { Router } from "../lib/relay/router.ts";

const OPTIONS = {
  maxMessageSizeBytes: 65536,
  maxBufferedBytes: 1024 * 1024,
  rateLimitPerSecond: 0,
  rateBurst: 200,
  idleTimeoutMs: 30_000,
  onDuplicate: "replace",
  mailboxTtlMs: 10_000,
  resumeTtlMs: 30_000,
} as const;

/** What a server has in any case: a log, of which no level is on. */
const silent = logEvents({ enabled: () => false, write() {} });

const socket: Socket = {
  ...{ readyState: WebSocket.OPEN, bufferedAmount: 0 },
  send() {},
  close() {},
  addEventListener() {},
};

/** A sender among so many receivers: `client_0`, `client_1`… */
function connect(receivers: number, events: Events): Connection {
  const router = new Router(OPTIONS, systemClock, events);
  const registrar = new Registrar(router, null, null);
  const surroundings = {
    ...{ options: OPTIONS, registrar, router, clock: systemClock, events },
    onRegistered() {},
  };
  const register = (clientId: string) => {
    const connection = new Connection(socket, "192.0.2.1", null, surroundings);
    connection.receive(JSON.stringify({ type: "register", client_id: clientId }));
    return connection;
  };
  for (let n = 0; n < receivers; n++) register(`client_${n}`);
  return register("sender");
}

const MESSAGES = {
  "a candidate of 221 bytes": {
    receivers: 1,
    text: JSON.stringify({ type: "candidate", target_id: "client_0", candidate: "c".repeat(164) }),
  },
  "an offer of 3.5 KB": {
    receivers: 1,
    text: JSON.stringify({ type: "offer", target_id: "client_0", sdp: "a=\r\n".repeat(590) }),
  },
  "a broadcast to 100": {
    receivers: 100,
    text: JSON.stringify({ type: "hello", text: "h".repeat(100) }),
  },
};

/** Short, so that what else runs on the machine disturbs few of them; the medians are of those that it does not. */
const MESSAGES_PER_TURN = 1000;
const TURNS = 1000;

/** Microseconds for each message of one turn. */
function measureTurn(connection: Connection, text: string): number {
  const startMs = performance.now();
  for (let n = 0; n < MESSAGES_PER_TURN; n++) connection.receive(text);
  return (performance.now() - startMs) * 1000 / MESSAGES_PER_TURN;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

for (const [what, { receivers, text }] of Object.entries(MESSAGES)) {
  const plain = connect(receivers, silent);
  const counted = connect(receivers, tellBoth(new Metrics(systemClock), silent));
  const turns = Array.from({ length: TURNS }, () => ({
    plain: measureTurn(plain, text),
    counted: measureTurn(counted, text),
  })).slice(TURNS / 10); // the first ones are the compiler's
  const [before, after] = [
    median(turns.map(({ plain }) => plain)),
    median(turns.map((t) => t.counted)),
  ];
  const cost = median(turns.map(({ plain, counted }) => counted - plain));
  console.log(
    `${what}: ${before.toFixed(2)} µs, counted ${after.toFixed(2)} µs, ${cost.toFixed(2)} µs more`,
  );
}
