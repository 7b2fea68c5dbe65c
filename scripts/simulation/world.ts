/**
 * A cluster in one process, with the real nodes and scripts. A seed decides all that is left to chance elsewhere: when a
 * command or message arrives, what clients do, what fails. So the same seed has the same outcome, and an hour takes a second.
 */

import type { Event } from "../../lib/events.ts";
import { Random } from "../../tests/helpers/random.ts";
import { Client, type ClientConnection, type Sent } from "./client.ts";
import { Data } from "./data.ts";
import { type FailureKind, FAILURES } from "./failures.ts";
import type { Lua } from "./lua.ts";
import { SimulatedNode } from "./node.ts";
import { RedisConnection, SimulatedRedis } from "./redis.ts";
import { judge } from "./verdict.ts";

export interface Terms {
  readonly seed: number;
  /** Failures to choose from; none: nothing fails. */
  readonly failures: readonly FailureKind[];
  /** Receives a line for all that happens. */
  readonly onStep?: (line: string) => void;
}

/** A failure that has begun. */
interface PastFailure {
  readonly kind: FailureKind;
  readonly fromMs: number;
  /** The time at which the cluster has recovered; Infinity before. */
  untilMs: number;
}

/** The number of steps in which clients act and nodes fail. */
const ACTIVE_STEPS = 300;
/** Upper bound of the steps after that. */
const MAX_STEPS = 20_000;
/** The number of promises, one after the other, that a step settles. */
const TURNS = 50;
/** Time after which held IDs and stored messages have expired, and dead nodes are forgotten. */
const REST_MS = 75_000;
const FAILURE_PROBABILITY = 0.006;
const MAX_FAILURES = 2;
/** Time after the end of a failure in which broadcasts may still miss a client. */
const RECOVERY_MS = 6000;
/** Time within which the clients of a dead node count as disconnected. */
const DEATH_MS = 15_000;
/** Start of the world, in milliseconds since 1970. */
const START_MS = 1_700_000_000_000;
/** Time for which IDs are held, in milliseconds. */
export const RESUME_TTL_MS = 8000;

export class World {
  readonly #terms: Terms;
  readonly random: Random;
  nowMs = 1000;
  readonly redis: SimulatedRedis;
  readonly nodes: SimulatedNode[] = [];
  readonly clients: readonly Client[];
  readonly sent: Sent[] = [];
  /** Errors about a target, each with the connection that got it. */
  readonly errors: { readonly at: ClientConnection; readonly target: string }[] = [];
  readonly internalErrors: unknown[] = [];
  readonly failures: PastFailure[] = [];
  /** Ends of failures that go on. */
  readonly #ends = new Map<() => void, number>();
  /** Upper bound of the time for which a command, reply or message is under way. */
  readonly #maxDelayMs: number;
  /** The probability that a client acts in a step. */
  readonly #activity: number;

  constructor(lua: Lua, terms: Terms) {
    this.#terms = terms;
    const random = this.random = new Random(terms.seed);
    const data = new Data(() => START_MS + this.nowMs);
    this.redis = new SimulatedRedis(lua, data, random.chance(0.5));
    this.#maxDelayMs = random.pick([3, 15, 60, 250]);
    this.#activity = random.pick([0.05, 0.15, 0.4]);
    const ids = ["s", "t", "u", "v"].slice(0, random.integer(2, 4));
    const firstMoves = random.chance(0.4);
    this.clients = ids.map((id, n) =>
      new Client(id, n === 1 || (n === 0 ? firstMoves : random.chance(0.7)))
    );
  }

  /** Runs until all is at rest, and returns what went wrong. */
  async run(): Promise<readonly string[]> {
    using _globals = this.#replaceGlobals();
    await this.#startNodes();
    this.#register(this.clients[0]!, true);
    for (let n = 0; n < ACTIVE_STEPS; n++) await this.#step(true);
    for (const end of this.#ends.keys()) this.#ends.set(end, this.nowMs);
    const restsAtMs = this.nowMs + REST_MS;
    for (let n = 0; n < MAX_STEPS && this.nowMs < restsAtMs; n++) await this.#step(false);
    return this.nowMs < restsAtMs ? ["The cluster did not come to rest."] : [...judge(this)];
  }

  async #startNodes(): Promise<void> {
    const mailboxTtlMs = this.random.pick([0, 3000, 3000, 3000]);
    for (const name of this.random.chance(0.6) ? ["A", "B"] : ["A", "B", "C"]) {
      const node = new SimulatedNode(name, this, { mailboxTtlMs, resumeTtlMs: RESUME_TTL_MS });
      this.nodes.push(node);
      node.cluster.start();
    }
    while (this.nodes.some(({ cluster }) => cluster.isDegraded)) await this.#step(false);
  }

  #replaceGlobals(): Disposable {
    const [{ random }, { now }] = [Math, Date];
    Math.random = () => this.random.next();
    Date.now = () => START_MS + this.nowMs;
    return {
      [Symbol.dispose]() {
        Math.random = random;
        Date.now = now;
      },
    };
  }

  log(text: string): void {
    this.#terms.onStep?.(`${this.nowMs.toFixed(0)} ${text.replaceAll(/[\0\n]/g, " ")}`);
  }

  /** @throws {Error} if Redis cannot be reached */
  connect({ name, isCutOff }: SimulatedNode): RedisConnection {
    if (!this.redis.isUp || isCutOff) throw new Error("refused");
    return new RedisConnection(this, name);
  }

  onEvent({ name }: SimulatedNode, event: Event): void {
    if (event.kind === "internal_error") this.internalErrors.push(event.error);
    if (event.kind === "cluster_lost") this.log(`${name} serves alone: ${event.reason}`);
    if (event.kind === "cluster_joined") this.log(`${name} has joined`);
  }

  async #step(isActive: boolean): Promise<void> {
    this.#endFailures();
    const moves = [...this.#moves()];
    const choice = this.random.next();
    if (isActive && choice < this.#activity) this.#act();
    else if (isActive && choice > 1 - FAILURE_PROBABILITY) this.#fail();
    else if (moves.length === 0 || this.random.chance(0.2) && this.#latestMs() > this.nowMs) {
      const ms = this.random.pick(isActive ? [1, 3, 10, 40, 200, 1000] : [40, 200, 1000]);
      this.nowMs = Math.max(this.nowMs, Math.min(this.nowMs + ms, this.#latestMs()));
    } else this.random.pick(moves)();
    for (let turn = 0; turn < TURNS; turn++) await null; // runs what the step has made ready
  }

  /** Lists what may happen next at the nodes and between them and Redis. */
  *#moves(): Generator<() => void> {
    for (const node of this.nodes) {
      if (node.isDead) continue;
      if (!node.isPaused && node.dueAtMs <= this.nowMs) yield () => node.runTimer();
      for (const connection of node.connections) {
        if (connection.isSilent) continue;
        const { requests, arrivals, isOpen } = connection;
        if (requests.length > 0) yield () => connection.execute(1);
        else if (!isOpen) yield () => node.forget(connection);
        if (arrivals.length > 0 && !node.isPaused) {
          const most = this.random.chance(0.6) ? 1 : arrivals.length;
          yield () => connection.receive(this.random.integer(1, most));
        }
      }
    }
  }

  /** Returns until when time may pass, so that no timer and no message is later than it can be. */
  #latestMs(): number {
    let latestMs = Infinity;
    for (const { isDead, isPaused, dueAtMs, connection } of this.nodes) {
      if (isDead) continue;
      if (!isPaused) latestMs = Math.min(latestMs, dueAtMs + 2);
      if (connection === undefined || connection.isSilent) continue;
      const waiting = [...connection.requests, ...isPaused ? [] : connection.arrivals];
      for (const { sentAtMs } of waiting) {
        latestMs = Math.min(latestMs, sentAtMs + this.#maxDelayMs);
      }
    }
    return latestMs;
  }

  /** Lets a client register, send, move or disconnect. */
  #act(): void {
    const client = this.random.pick(this.clients);
    for (const connection of client.connections) connection.update();
    const connection = client.open.filter(({ node }) => !node.isPaused).at(-1);
    if (connection === undefined) {
      if (client.open.length === 0) this.#register(client, this.random.chance(0.9));
    } else if (connection.session === null) {
      if (this.random.chance(0.1)) this.#end(connection, 4000);
    } else if (client.moves && this.random.chance(0.2)) this.#move(client, connection);
    else this.#send(connection);
  }

  #move(client: Client, connection: ClientConnection): void {
    const choice = this.random.next();
    if (choice < 0.5) this.#end(connection, 4000);
    else if (choice < 0.6 && client.open.length === 1) { // otherwise its session goes on
      client.secret = null;
      this.#end(connection, 1000);
    } else this.#register(client, client.secret !== null || this.random.chance(0.5));
  }

  #register(client: Client, resumes: boolean): void {
    const nodes = this.nodes.filter(({ isRunning }) => isRunning);
    if (nodes.length > 0) {
      client.register(this.random.pick(nodes), this, resumes && (client.secret ?? true));
    }
  }

  #end(connection: ClientConnection, code: number): void {
    this.log(`${connection.name} ends with ${code}`);
    connection.end(code);
  }

  #send(from: ClientConnection): void {
    const others = this.clients.filter((client) => client !== from.client);
    const to = this.random.chance(0.6) ? this.random.pick(others).id : null;
    const number = this.sent.length;
    this.log(`${from.name} sends ${number} to ${to ?? "all"}`);
    this.sent.push({
      number,
      from,
      to,
      session: from.session!,
      sentAtMs: this.nowMs,
      waits: from.node.cluster.pauseAt(this.nowMs) !== null,
      others: others.flatMap(({ open }) => open)
        .filter(({ session, node }) => session !== null && !node.isPaused),
      deliveredTo: [],
    });
    from.send(to === null ? { n: number } : { n: number, target_id: to });
  }

  #fail(): void {
    const nodes = this.nodes.filter(({ isRunning, isCutOff }) => isRunning && !isCutOff);
    const { failures } = this.#terms;
    const isPossible = failures.length > 0 && this.failures.length < MAX_FAILURES &&
      nodes.length > 0 && this.failures[0]?.kind !== "leave";
    if (!isPossible) return;
    const kind = this.random.pick(failures);
    if ((kind === "kill" || kind === "leave") && nodes.length < 2) return;
    if (kind === "leave" && this.failures.length > 0) return; // in a failure, a shutdown is as good as a kill
    const node = this.random.pick(nodes);
    const durationMs = this.random.pick([0, 100, 1000, 3000, 8000, 12_000]);
    this.log(`${kind} ${node.name} for ${durationMs} ms`);
    this.failures.push({ kind, fromMs: this.nowMs, untilMs: Infinity });
    this.#ends.set(FAILURES[kind](this, node), this.nowMs + durationMs);
  }

  #endFailures(): void {
    for (const [end, atMs] of this.#ends) {
      if (atMs > this.nowMs) continue;
      this.log("a failure ends");
      this.#ends.delete(end);
      end();
    }
    const isWell = this.#ends.size === 0 &&
      this.nodes.every(({ isDead, cluster }) =>
        isDead || cluster.pauseAt(this.nowMs) === null && !cluster.isDegraded
      );
    if (!isWell) return;
    for (const failure of this.failures) {
      const lastsMs = failure.kind === "kill" ? DEATH_MS + RECOVERY_MS : RECOVERY_MS;
      failure.untilMs = Math.min(failure.untilMs, this.nowMs + lastsMs);
    }
  }
}
