/**
 * Measures the cost until all members of a room with presence know each other, at first and after all were cut off.
 * Measures that of a broadcast to them, too.
 */

import type { Client, Driver } from "../driver.ts";
import { clientFrame, OPCODE } from "../frames.ts";
import { addressed, candidate } from "../messages.ts";
import type { ServerProcess } from "../server_process.ts";
import { spread } from "../statistics.ts";

/** The cost until every member knew all others. */
export interface Gathering {
  readonly members: number;
  /** Time until the last one was registered. */
  readonly registeredMs: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  /** Notices of joins and leaves, all members together. */
  readonly presenceNotices: number;
}

/** The cost of one broadcast; medians. */
export interface Broadcast {
  /** Time until the last member had it. */
  readonly wallMs: number;
  readonly cpuMs: number;
}

export interface RoomPlan {
  readonly members: number;
  readonly presence: true | "batch";
}

/** All join at once; then all are cut off at once, and reconnect: as new clients, or with `resume` as the same. */
export interface RoomResult {
  readonly presence: RoomPlan["presence"];
  readonly joined: Gathering;
  readonly cameBack: Gathering;
  readonly resumed: Gathering;
  readonly broadcast: Broadcast;
}

export function measureRoom(
  driver: Driver,
  server: ServerProcess,
  { members, presence }: RoomPlan,
): RoomResult {
  const room = new Room(driver, server, members, { room: "hall", presence });
  const joined = room.gather();
  room.cut();
  const cameBack = room.gather();
  const ofResumable = { room: "resumable hall", presence, resume: true };
  const resumable = new Room(driver, server, members, ofResumable);
  resumable.gather();
  resumable.cut();
  const resumed = resumable.gather();
  return { presence, joined, cameBack, resumed, broadcast: resumable.broadcast() };
}

const OPENED_AT_ONCE = 64;
const BROADCASTS = 20;
/** Upper bound of the time for one step. A mass reconnect in a large room sends many messages. */
const TIMEOUT_MS = 120_000;

class Room {
  readonly #driver: Driver;
  readonly #server: ServerProcess;
  readonly #ids: readonly string[];
  readonly #registration: Readonly<Record<string, unknown>>;
  /** Resume secrets by client ID. */
  readonly #secrets = new Map<string, unknown>();
  #clients: Client[] = [];
  #registered = 0;
  #registeredAt = 0;
  #complete = 0;
  #presenceNotices = 0;

  /** @param registration members of `register` */
  constructor(
    driver: Driver,
    server: ServerProcess,
    members: number,
    registration: Readonly<Record<string, unknown>>,
  ) {
    this.#driver = driver;
    this.#server = server;
    this.#registration = registration;
    this.#ids = Array.from({ length: members }, (_, index) => `member_${10_000 + index}`);
  }

  /** All clients join, as fast as the server takes them. */
  gather(): Gathering {
    this.#clients = [];
    this.#registered = 0;
    this.#complete = 0;
    this.#presenceNotices = 0;
    this.#server.takeCpuNs();
    const startedAt = performance.now();
    for (const id of this.#ids) {
      this.#clients.push(this.#join(id));
      if (this.#clients.length % OPENED_AT_ONCE === 0) this.#driver.poll(0);
    }
    this.#driver.waitUntil(() => this.#complete === this.#ids.length, 10, TIMEOUT_MS);
    return {
      members: this.#ids.length,
      registeredMs: this.#registeredAt - startedAt,
      wallMs: performance.now() - startedAt,
      cpuMs: this.#server.takeCpuNs() / 1e6,
      presenceNotices: this.#presenceNotices,
    };
  }

  #join(id: string): Client {
    const secret = this.#secrets.get(id);
    const client = this.#driver.open(this.#server.port, id, {
      ...this.#registration,
      ...(secret === undefined ? {} : { resume: secret }),
    });
    let known = 0; // a set of them would take more time than the server does
    client.onRegistered = ({ peers, resume }) => {
      if (++this.#registered === this.#ids.length) this.#registeredAt = performance.now();
      if (resume !== undefined) this.#secrets.set(id, resume);
      known += (peers as string[]).length;
      if (this.#isComplete(known)) this.#complete++;
    };
    client.onMessage = (bytes, start, end) => {
      const wasComplete = this.#isComplete(known);
      known += this.#readPresence(bytes, start, end);
      this.#complete += Number(this.#isComplete(known)) - Number(wasComplete);
    };
    return client;
  }

  /** Returns by how many there are more. */
  #readPresence(bytes: Uint8Array, start: number, end: number): number {
    const notice = JSON.parse(new TextDecoder().decode(bytes.subarray(start, end)));
    this.#presenceNotices++;
    switch (notice.type) {
      case "peer_joined":
        return 1;
      case "peer_left":
        return -1;
      case "peers_changed":
        return notice.joined.length - notice.left.length;
      default:
        throw new Error(`unexpected in a room: ${JSON.stringify(notice)}`);
    }
  }

  #isComplete(known: number): boolean {
    return known === this.#ids.length - 1;
  }

  /** The first member sends to all others, again and again. */
  broadcast(): Broadcast {
    const frame = clientFrame(OPCODE.TEXT, new TextEncoder().encode(addressed(candidate(), null)));
    const [sender, ...others] = this.#clients;
    let received = 0;
    for (const client of others) client.onMessage = () => received++;
    const costs = Array.from({ length: BROADCASTS }, () => {
      received = 0;
      this.#server.takeCpuNs();
      const sentAt = performance.now();
      this.#driver.send(sender!, frame);
      this.#driver.waitUntil(() => received === others.length);
      return { wallMs: performance.now() - sentAt, cpuMs: this.#server.takeCpuNs() / 1e6 };
    });
    return {
      wallMs: spread(costs.map(({ wallMs }) => wallMs)).median,
      cpuMs: spread(costs.map(({ cpuMs }) => cpuMs)).median,
    };
  }

  cut(): void {
    this.#driver.cutAll(this.#clients);
  }
}
