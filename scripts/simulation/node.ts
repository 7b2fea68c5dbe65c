/** A node of a simulated cluster, with its own timers. Its connections to clients and to Redis are simulated too. */

import type { Clock } from "../../lib/clock.ts";
import { Cluster } from "../../lib/cluster/cluster.ts";
import type { Event } from "../../lib/events.ts";
import type { ConnectionDeps } from "../../lib/relay/connection.ts";
import type { CreateClient } from "../../lib/cluster/redis.ts";
import { depsOf, type SwitchboardOptions } from "../../tests/helpers/switchboard.ts";
import { PREFIX, type RedisConnection } from "./redis.ts";
import type { World } from "./world.ts";

interface Timer {
  readonly dueAtMs: number;
  readonly callback: () => void;
}

export class SimulatedNode implements Clock {
  readonly name: string;
  readonly #world: World;
  readonly cluster: Cluster;
  readonly deps: ConnectionDeps;
  readonly #timers = new Set<Timer>();
  /** Its connections to Redis, the last one first. All others are closed, but commands may still be on their way. */
  readonly connections: RedisConnection[] = [];
  isPaused = false;
  isDead = false;
  /** True once it has begun to shut down. */
  isLeaving = false;
  /** True while it does not reach Redis. */
  isCutOff = false;

  constructor(name: string, world: World, options: SwitchboardOptions) {
    this.name = name;
    this.#world = world;
    const emit = (event: Event) => world.onEvent(this, event);
    const createClient = ((_url: string) => {
      const connection = world.connect(this);
      this.connections.unshift(connection);
      return connection;
    }) as unknown as CreateClient;
    let cluster: Cluster | null = null;
    const deps = depsOf(options, { clock: this, emit }, (router, options) => {
      const all = { ...options, redisPrefix: PREFIX };
      const deps = { options: all, router, clock: this, emit, createClient };
      return cluster = new Cluster(`redis://${name}`, { id: name, list: "list" }, deps);
    });
    this.cluster = cluster!;
    this.deps = { ...deps, onRegistered() {} };
  }

  now(): number {
    return this.#world.nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueAtMs: this.#world.nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** True while it runs, and takes clients. */
  get isRunning(): boolean {
    return !this.isDead && !this.isPaused && !this.isLeaving;
  }

  /** The open connection to Redis; undefined if there is none. */
  get connection(): RedisConnection | undefined {
    return this.connections.find(({ isOpen }) => isOpen);
  }

  /** Forgets a closed connection, on which nothing is under way any more. */
  forget(connection: RedisConnection): void {
    connection.drop();
    this.connections.splice(this.connections.indexOf(connection), 1);
  }

  /** The time at which the next timer is due, in milliseconds; Infinity if there is none. */
  get dueAtMs(): number {
    return this.#next()?.dueAtMs ?? Infinity;
  }

  /** Calls the next timer. */
  runTimer(): void {
    const timer = this.#next()!;
    this.#timers.delete(timer);
    timer.callback();
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (next === undefined || timer.dueAtMs < next.dueAtMs) next = timer;
    }
    return next;
  }
}
