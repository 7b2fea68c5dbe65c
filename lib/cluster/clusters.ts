/** Spreads the rooms over several Redis servers, with a {@link Cluster} for each. */

import { randomBytes } from "node:crypto";
import type { Attach, Directory } from "../relay/directory.ts";
import type { Session } from "../relay/session.ts";
import type { Message, Notice, Registration } from "../relay/vocabulary.ts";
import { Cluster, type ClusterDeps } from "./cluster.ts";
import { hashOf, nameOf, pickServer } from "./server_list.ts";

export class Clusters implements Directory {
  readonly #clusters: ReadonlyMap<string, Cluster>;
  readonly #names: readonly string[];

  /** @param urls the values of `--redis`, in any order */
  constructor(urls: readonly string[], deps: ClusterDeps) {
    const byName = new Map(urls.map((url) => [nameOf(url), url]));
    this.#names = [...byName.keys()];
    const self = { id: randomBytes(12).toString("base64url"), list: hashOf(this.#names) };
    const join = (url: string) => new Cluster(url, self, deps);
    this.#clusters = new Map([...byName].map(([name, url]) => [name, join(url)]));
  }

  #of(room: string): Cluster {
    const name = this.#names.length === 1 ? this.#names[0]! : pickServer(this.#names, room);
    return this.#clusters.get(name)!;
  }

  get #all(): readonly Cluster[] {
    return [...this.#clusters.values()];
  }

  /** Starts all clusters, see {@link Cluster.start}. */
  async start(): Promise<void> {
    await Promise.all(this.#all.map((cluster) => cluster.start()));
  }

  /** True while this node serves some rooms alone. */
  get isDegraded(): boolean {
    return this.#all.some(({ isDegraded }) => isDegraded);
  }

  get stored(): number {
    return this.#all.reduce((sum, { stored }) => sum + stored, 0);
  }

  claim(registration: Registration, ownsId: boolean, attach: Attach): Promise<void> {
    return this.#of(registration.room).claim(registration, ownsId, attach);
  }

  detached(session: Session): void {
    this.#of(session.room.name).detached(session);
  }

  ended(session: Session): void {
    this.#of(session.room.name).ended(session);
  }

  idsIn(room: string): Iterable<string> {
    return this.#of(room).idsIn(room);
  }

  listIds(room: string): Promise<readonly string[]> {
    return this.#of(room).listIds(room);
  }

  sizeOf(room: string): number {
    return this.#of(room).sizeOf(room);
  }

  forward(from: Session, targetId: string, message: Message): void {
    this.#of(from.room.name).forward(from, targetId, message);
  }

  broadcast(from: Session, message: Message): void {
    this.#of(from.room.name).broadcast(from, message);
  }

  watchTopic(key: string, isWatched: boolean): void {
    this.#of(key).watchTopic(key, isWatched);
  }

  publish(key: string, text: string): void {
    this.#of(key).publish(key, text);
  }

  storeNotice(session: Session, notice: Notice): void {
    this.#of(session.room.name).storeNotice(session, notice);
  }

  pauseAt(nowMs: number): Promise<void> | null {
    for (const cluster of this.#clusters.values()) {
      const renewal = cluster.pauseAt(nowMs);
      if (renewal !== null) return renewal;
    }
    return null;
  }

  async expireStored(): Promise<void> {
    await Promise.all(this.#all.map((cluster) => cluster.expireStored()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((cluster) => cluster.stop()));
  }
}
