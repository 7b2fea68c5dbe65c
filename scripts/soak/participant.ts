/** A client that joins and leaves, sends, and misbehaves. */

import type { Random } from "../../tests/helpers/random.ts";
import { Connection, type Way } from "./connection.ts";
import { pause } from "./pause.ts";

/** Configuration that all participants of a round share. */
interface ParticipantDeps extends Omit<Way, "url"> {
  /** The nodes of the server; each connection goes to one of them. */
  readonly urls: readonly string[];
  /** IDs that it sends to. Some of them never join. */
  readonly ids: readonly string[];
  /** The part of the messages of a chat that go to all. */
  readonly broadcastShare: number;
}

/** Actions of a participant, and how often it takes each, as weights. */
type Behaviour = Readonly<Record<string, { readonly weight: number; act(): Promise<void> | void }>>;

const LONGEST_PAUSE_MS = 100;
const LONGEST_ABSENCE_MS = 1500;
/** The same for a client whose node shuts down: it comes back at another one. */
const LONGEST_MOVE_MS = 600;
const LONGEST_STALL_MS = 2000;

export class Participant {
  readonly #id: string;
  readonly #random: Random;
  readonly #deps: ParticipantDeps;
  readonly #behaviour: Behaviour;
  /** True if it asks for a resume. */
  readonly #wantsResume: boolean;
  #secret: string | undefined;
  #connection: Connection | null = null;
  /** Its connections so far: nodes that do not reach each other may each leave it one. */
  readonly #connections: Connection[] = [];

  /** @param isSteady whether it stays and behaves */
  constructor(id: string, isSteady: boolean, random: Random, deps: ParticipantDeps) {
    this.#id = id;
    this.#random = random;
    this.#deps = deps;
    this.#wantsResume = !isSteady && random.chance(0.5);
    this.#behaviour = isSteady ? this.#steady() : { ...this.#steady(), ...this.#erratic() };
  }

  #steady(): Behaviour {
    return {
      chat: { weight: 60, act: () => this.#chat(this.#random.integer(1, 8)) },
      broadcast: { weight: 4, act: () => this.#connection?.send(null, this.#size()) },
      listen: { weight: 20, act: () => pause(this.#random.integer(0, 4 * LONGEST_PAUSE_MS)) },
    };
  }

  #erratic(): Behaviour {
    const random = this.#random;
    return {
      stall: { weight: 3, act: () => this.#connection?.stall(random.integer(0, LONGEST_STALL_MS)) },
      flood: { weight: 2, act: () => this.#chat(random.integer(200, 800), 0) },
      leave: { weight: 4, act: () => this.#leave() },
      drop: { weight: 4, act: () => this.#connection?.drop() },
      reset: { weight: 3, act: () => this.#connection?.reset() },
      nonsense: { weight: 2, act: () => this.#connection?.talkNonsense(random.bytes(50)) },
      takeOver: { weight: 3, act: () => this.#connect() },
    };
  }

  /** Acts until `isOver`, and then connects once more if it is disconnected. */
  async run(isOver: () => boolean): Promise<void> {
    await this.#connect();
    while (!isOver()) {
      if (!this.#connection?.isOpen) await this.#comeBack();
      else await this.#act();
    }
  }

  async #act(): Promise<void> {
    const actions = Object.values(this.#behaviour);
    let left = this.#random.next() * actions.reduce((sum, { weight }) => sum + weight, 0);
    const next = actions.find(({ weight }) => (left -= weight) < 0);
    await next?.act();
    await this.#connection?.mark();
    await pause(this.#random.integer(0, LONGEST_PAUSE_MS));
  }

  async #comeBack(): Promise<void> {
    const left = this.#connection?.shutDownUrl ?? null;
    await pause(this.#random.integer(0, left === null ? LONGEST_ABSENCE_MS : LONGEST_MOVE_MS));
    await this.#connect(left);
  }

  /**
   * Registers, which replaces an older connection of its own.
   *
   * @param shunned the node that it does not connect to
   */
  async #connect(shunned: string | null = null): Promise<void> {
    const urls = this.#deps.urls.filter((url) => url !== shunned);
    const way = { ...this.#deps, url: this.#random.pick(urls) };
    const resume = this.#wantsResume ? this.#secret ?? true : undefined;
    const registration = { client_id: this.#id, ...(resume === undefined ? {} : { resume }) };
    const result = await Connection.register(way, registration, null);
    if (result === null) return;
    this.#connection = result.connection;
    this.#connections.push(result.connection);
    this.#secret = result.registered.resume;
  }

  /** Disconnects once its messages have arrived. */
  async #leave(): Promise<void> {
    await this.#connection?.mark();
    if (this.#connection?.isOpen) await this.#connection.close();
  }

  #chat(messages: number, broadcastShare = this.#deps.broadcastShare): void {
    const others = this.#deps.ids.filter((id) => id !== this.#id);
    for (let n = 0; n < messages; n++) {
      const isBroadcast = this.#random.chance(broadcastShare);
      this.#connection?.send(isBroadcast ? null : this.#random.pick(others), this.#size());
    }
  }

  /** Returns mostly the size of a candidate, at times that of a session description, seldom more. */
  #size(): number {
    if (this.#random.chance(0.8)) return this.#random.integer(0, 200);
    return this.#random.chance(0.9)
      ? this.#random.integer(200, 4000)
      : this.#random.integer(4000, 60_000);
  }

  /** Waits until all that it has sent so far has been handled. */
  async settle(): Promise<void> {
    await this.#connection?.mark();
  }

  /** Closes all of its connections. */
  async end(): Promise<void> {
    await Promise.all(this.#connections.map(async (connection) => {
      if (connection.isOpen) await connection.close();
      await connection.ended;
    }));
  }
}
