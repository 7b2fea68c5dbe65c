/** A cluster as large as one machine can simulate: many nodes that come back, many clients of a dead node, a large room. */

import { createClient, type RedisClientType } from "redis";
import { TestClient } from "../../../tests/helpers/client.ts";
import { untilStatus } from "../../../tests/helpers/health.ts";
import { fromSource, ServingProgram } from "../../../tests/helpers/program.ts";
import { TestRedis } from "../../../tests/helpers/redis.ts";
import { startServer, type TestServer } from "../../../tests/helpers/server.ts";
import { pause } from "../../soak/pause.ts";
import { quantile } from "../statistics.ts";

/** Sizes of what is simulated. */
export interface CrowdsPlan {
  /** Nodes that come back when Redis does. */
  readonly nodes: number;
  readonly clientsPerNode: number;
  /** Clients of a dead node. */
  readonly reaped: number;
  /** Members of a room that is listed. */
  readonly members: number;
}

/** Measured times, in milliseconds. */
export interface Crowds {
  /** Time from the start of Redis until the last node had joined. */
  readonly returnMs: number;
  readonly reaping: Reaping;
  /** The longest command while the room was listed, the best of a few times. */
  readonly longestCommandMs: number;
  /** Time that the registration took which listed it. */
  readonly listingMs: number;
}

interface Reaping {
  readonly tookMs: number;
  /** The 99th percentile of messages between two nodes before the reaping, and meanwhile. */
  readonly p99BeforeMs: number;
  readonly p99Ms: number;
}

/** Entries of one command that seeds Redis. */
const SEEDED_AT_ONCE = 1000;
const IDS_PER_ROOM = 100;
const MESSAGE_EVERY_MS = 5;
const POLL_MS = 20;
const MEASURED_BEFORE_MS = 3000;
const DEAD = "a-node-that-died";
const LISTINGS = 3;
const LARGE_ROOM = "large";
/** Commands that Redis logs as slow, in microseconds. */
const SLOW_US = 500;

export async function measureCrowds(plan: CrowdsPlan, main: string): Promise<Crowds> {
  const returnMs = await measureReturn(plan);
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await TestRedis.start());
  const start = async () => {
    const args = ["--redis", redis.url, "--rate-limit", "0", "--log-level", "error"];
    const command = fromSource(Deno.execPath(), main);
    const node = stack.use(await ServingProgram.start(args, { command }));
    await untilStatus(node.httpUrl, "ok");
    return node.url;
  };
  const [a, b] = [await start(), await start()];
  const reaping = await measureReaping(redis, [a, b], plan.reaped);
  return { returnMs, reaping, ...await measureListing(redis, a, plan.members) };
}

/** Measures how long nodes in this process take to join again after Redis has come back empty. */
export async function measureReturn(
  { nodes, clientsPerNode }: Pick<CrowdsPlan, "nodes" | "clientsPerNode">,
): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await TestRedis.start());
  const servers: TestServer[] = [];
  for (let n = 0; n < nodes; n++) servers.push(stack.use(startServer({ redisUrls: [redis.url] })));
  await Promise.all(servers.map(({ server }) => server.join()));
  const clients = await Promise.all(servers.map(async ({ url }, node) => {
    const ofNode: TestClient[] = [];
    for (let n = 0; n < clientsPerNode; n++) {
      const room = `room ${Math.floor(node / 2)}`;
      ofNode.push(await TestClient.register(url, `client ${node} ${n}`, { room }));
    }
    return ofNode;
  }));
  await redis.kill();
  await until(() => servers.every(({ server }) => server.isClusterUp === false));
  const startMs = performance.now();
  await redis.restart();
  await until(() => servers.every(({ server }) => server.isClusterUp === true));
  const returnMs = performance.now() - startMs;
  await Promise.all(clients.flat().map((client) => client.close(1000)));
  return returnMs;
}

async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await pause(POLL_MS);
}

/** Redis with registrations of a node that was never there, made of one that a node has written. */
class Seeds implements AsyncDisposable {
  readonly #client: RedisClientType;

  private constructor(client: RedisClientType) {
    this.#client = client;
  }

  static async connect(redis: TestRedis): Promise<Seeds> {
    const client = createClient({ url: redis.url }) as unknown as RedisClientType;
    await client.connect();
    return new Seeds(client);
  }

  /** Copies the record of a registered client for others of a node. */
  async copy(
    [room, id]: readonly [string, string],
    node: string,
    entries: readonly (readonly [room: string, id: string])[],
  ): Promise<void> {
    const record = await this.#client.hGet(keyOf(room), id);
    const nodes = await this.#client.zRange("signalbox:nodes", 0, -1);
    const own = nodes.find((node) => record!.includes(node))!;
    const copy = record!.replace(own, node);
    for (let first = 0; first < entries.length; first += SEEDED_AT_ONCE) {
      const some = entries.slice(first, first + SEEDED_AT_ONCE);
      await Promise.all([
        ...some.map(([room, id]) => this.#client.hSet(keyOf(room), id, copy)),
        this.#client.sAdd(`signalbox:clients:${node}`, some.map((entry) => entry.join("\0"))),
      ]);
    }
  }

  /** Declares a node dead. */
  async die(node: string): Promise<void> {
    await this.#client.zAdd("signalbox:nodes", { score: 1, value: node });
  }

  async clientsOf(node: string): Promise<number> {
    return await this.#client.sCard(`signalbox:clients:${node}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
  }
}

function keyOf(room: string): string {
  return `signalbox:ids:{#${room}}`;
}

/** Measures messages between two nodes, which end the registrations of a third. */
async function measureReaping(
  redis: TestRedis,
  [a, b]: readonly [string, string],
  count: number,
): Promise<Reaping> {
  await using seeds = await Seeds.connect(redis);
  const alice = await TestClient.register(a, "alice", { room: "pair" });
  const bob = await TestClient.register(b, "bob", { room: "pair" });
  const entries = Array.from(
    { length: count },
    (_, n) => [`room ${Math.floor(n / IDS_PER_ROOM)}`, `client ${n}`] as const,
  );
  await seeds.copy(["pair", "alice"], DEAD, entries);
  const before = performance.now();
  const p99BeforeMs = await p99(alice, bob, () => performance.now() > before + MEASURED_BEFORE_MS);
  await seeds.die(DEAD);
  while (await seeds.clientsOf(DEAD) === count) await pause(MESSAGE_EVERY_MS);
  const startMs = performance.now();
  let isOver = false;
  const measuring = p99(alice, bob, () => isOver);
  while (await seeds.clientsOf(DEAD) > 0) await pause(MESSAGE_EVERY_MS);
  const tookMs = performance.now() - startMs;
  isOver = true;
  const p99Ms = await measuring;
  await Promise.all([alice.close(1000), bob.close(1000)]);
  return { tookMs, p99BeforeMs, p99Ms };
}

/** Sends a message at a time until `isOver`, and returns the 99th percentile of the times that they took. */
async function p99(from: TestClient, to: TestClient, isOver: () => boolean): Promise<number> {
  const times: number[] = [];
  while (!isOver()) {
    const sentAtMs = performance.now();
    from.send({ target_id: to.registered.client_id });
    await to.next();
    times.push(performance.now() - sentAtMs);
    await pause(MESSAGE_EVERY_MS);
  }
  return quantile(times.toSorted((one, other) => one - other), 0.99);
}

/** Has a client register that gets the IDs of a large room, and reads from Redis which command took longest. */
export async function measureListing(
  redis: TestRedis,
  url: string,
  members: number,
): Promise<{ longestCommandMs: number; listingMs: number }> {
  await using seeds = await Seeds.connect(redis);
  const first = await TestClient.register(url, "first", { room: LARGE_ROOM });
  const entries = Array.from({ length: members }, (_, n) => [LARGE_ROOM, `member ${n}`] as const);
  await seeds.copy([LARGE_ROOM, "first"], DEAD, entries);
  await first.close(1000);
  await redis.command("CONFIG", "SET", "slowlog-log-slower-than", `${SLOW_US}`);
  const listings: { longestCommandMs: number; listingMs: number }[] = [];
  while (listings.length < LISTINGS) listings.push(await list(redis, url, members));
  // Other processes may interrupt Redis within a command, so the best listing is the one that counts.
  listings.sort((one, other) => one.longestCommandMs - other.longestCommandMs);
  return listings[0]!;
}

async function list(
  redis: TestRedis,
  url: string,
  members: number,
): Promise<{ longestCommandMs: number; listingMs: number }> {
  await redis.command("SLOWLOG", "RESET");
  const startMs = performance.now();
  const watcher = await TestClient.register(url, "watcher", { room: LARGE_ROOM, presence: true });
  const listingMs = performance.now() - startMs;
  const listed = (watcher.registered.peers as string[]).length;
  if (listed < members) throw new Error(`only ${listed} of ${members} were listed`);
  const log = await redis.command("--json", "SLOWLOG", "GET", "-1");
  const times = (JSON.parse(log) as [id: number, at: number, us: number][]).map(([, , us]) => us);
  await watcher.close(1000);
  return { longestCommandMs: Math.max(0, ...times) / 1000, listingMs };
}
