/** Tracks the members, at all nodes, of the rooms in which this node has clients, claims or messages. */

import type { Router } from "../relay/router.ts";
import { atOnce } from "./at_once.ts";
import { Disconnected, unlessDisconnected } from "./disconnected.ts";
import type { Keys } from "./keys.ts";
import type { Owner, ResponseMessage } from "./messages.ts";
import type { Node } from "./node.ts";
import type { PendingRequests } from "./pending_requests.ts";
import type { RedisSession } from "./redis.ts";
import { RoomView } from "./room_view.ts";

interface RoomsHooks {
  /** Returns whether messages are stored for clients of a room. */
  isStored(room: string): boolean;
  /** Called when a scan finds a client whose change of owner this node has missed. */
  onMoved(room: string, id: string): void;
}

interface RoomsDeps {
  readonly keys: Keys;
  readonly node: Node;
  readonly requests: PendingRequests;
  readonly router: Router;
}

export class Rooms {
  readonly #deps: RoomsDeps;
  readonly #hooks: RoomsHooks;
  readonly #views = new Map<string, RoomView>();

  constructor(deps: RoomsDeps, hooks: RoomsHooks) {
    this.#deps = deps;
    this.#hooks = hooks;
  }

  get(room: string): RoomView | undefined {
    return this.#views.get(room);
  }

  ownerOf(room: string, id: string): Owner | undefined {
    return this.#views.get(room)?.ownerOf(id);
  }

  /** Returns the view of a room, and subscribes to the room if there was none. */
  open(room: string): RoomView {
    let view = this.#views.get(room);
    if (view === undefined) {
      view = new RoomView((change, id) => this.#deps.router.announce(room, change, id));
      this.#views.set(room, view);
      unlessDisconnected(this.#deps.node.redis?.subscribe([this.#deps.keys.roomChannel(room)]));
    }
    return view;
  }

  /** Opens a room, and reads its members if this node had no use for it. */
  openAndRead(room: string): void {
    if (this.#views.has(room)) return;
    this.open(room);
    const { redis } = this.#deps.node;
    if (redis !== null) unlessDisconnected(this.refresh(redis, room, true));
  }

  /** Counts a use of a room, whose view stays until {@link release}. */
  use(room: string): void {
    this.open(room).uses++;
  }

  /** Ends a use of a room. */
  release(room: string): void {
    const view = this.#views.get(room);
    if (view === undefined) return;
    view.uses--;
    this.closeUnused(room);
  }

  /** Removes the view of a room, and unsubscribes, unless this node uses the room. */
  closeUnused(room: string): void {
    const view = this.#views.get(room);
    const isUsed = view === undefined || view.uses > 0 ||
      this.#deps.router.room(room) !== undefined;
    if (isUsed || this.#hooks.isStored(room)) return;
    this.#views.delete(room);
    unlessDisconnected(this.#deps.node.redis?.unsubscribe(this.#deps.keys.roomChannel(room)));
  }

  markStale(): void {
    for (const view of this.#views.values()) view.markStale();
  }

  /** Subscribes a new session to all rooms. */
  async subscribe(redis: RedisSession): Promise<void> {
    await redis.subscribe([...this.#views.keys()].map((room) => this.#deps.keys.roomChannel(room)));
  }

  /** Scans rooms whose changes this node may have missed, and removes no member yet. */
  async refreshStale(redis: RedisSession): Promise<void> {
    const stale = [...this.#views].filter(([, { isStale }]) => isStale);
    await atOnce(stale, ([room]) => this.refresh(redis, room, false));
  }

  /** Scans all rooms, and removes members that Redis does not have. */
  async refreshAll(redis: RedisSession): Promise<void> {
    await atOnce([...this.#views.keys()], (room) => this.refresh(redis, room, true));
  }

  /** Scans a room. If `areAll`, members that Redis does not have are removed. */
  async refresh(redis: RedisSession, room: string, areAll: boolean): Promise<void> {
    const view = this.#views.get(room);
    view?.beginScan();
    await this.#scan(redis, room, ({ members, cursor }) => {
      for (const id of view?.read(members) ?? []) this.#hooks.onMoved(room, id);
      if (cursor === "0") view?.endScan(areAll);
    });
  }

  /** Lists the IDs of a room that this node need not track; without Redis, those that it tracks. */
  async list(room: string): Promise<readonly string[]> {
    const view = this.#views.get(room);
    const known = new Set(view?.ids ?? []);
    const { redis } = this.#deps.node;
    if (redis === null || view?.isStale === false) return [...known];
    const ids = new Set<string>();
    const reading = this.#scan(redis, room, ({ members }) => {
      for (const [id] of members) ids.add(id);
    });
    return await unlessDisconnected(reading.then(() => [...ids]), [...known]);
  }

  /** Reads the members of a room, a bounded number at a time. */
  async #scan(
    redis: RedisSession,
    room: string,
    onRead: (response: ResponseMessage) => void,
  ): Promise<void> {
    for (let cursor: string | null = null; cursor !== "0";) {
      const from: string = cursor ?? "0";
      const put = (requestId: number) =>
        redis.run("members", this.#deps.keys.ids(room), this.#deps.node.id, from, requestId);
      await this.#deps.requests.request(put, (response) => {
        if (response === null) throw new Disconnected("no response");
        cursor = response.cursor;
        onRead(response);
      });
    }
  }
}
