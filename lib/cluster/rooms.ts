/** Tracks the members, on all nodes, of the rooms in which this node has clients or claims. */

import type { Router } from "../relay/router.ts";
import type { Keys } from "./keys.ts";
import type { MembershipMessage } from "./messages.ts";
import type { Node } from "./node.ts";
import type { PendingRequests } from "./pending_requests.ts";
import type { RedisSession } from "./redis.ts";
import { RoomView } from "./room_view.ts";

export class Rooms {
  readonly #keys: Keys;
  readonly #node: Node;
  readonly #requests: PendingRequests;
  readonly #router: Router;
  readonly #onMessage: (text: string, channel: string) => void;
  readonly #views = new Map<string, RoomView>();

  /** @param onMessage receives the messages on the channels of rooms */
  constructor(
    keys: Keys,
    node: Node,
    requests: PendingRequests,
    router: Router,
    onMessage: (text: string, channel: string) => void,
  ) {
    this.#keys = keys;
    this.#node = node;
    this.#requests = requests;
    this.#router = router;
    this.#onMessage = onMessage;
  }

  get(room: string): RoomView | undefined {
    return this.#views.get(room);
  }

  /** Returns the view of a room, and subscribes to it if this node had no clients there. */
  enter(room: string): RoomView {
    let view = this.#views.get(room);
    if (view === undefined) {
      view = new RoomView((change, id) => this.#router.announce(room, change, id));
      this.#views.set(room, view);
      this.#node.session?.subscribe(this.#keys.roomChannel(room), this.#onMessage).catch(() => {});
    }
    return view;
  }

  /** Ends the subscription of a room, unless this node has clients or claims there. */
  leave(room: string): void {
    const view = this.#views.get(room);
    if (view === undefined || view.claims > 0 || this.#router.room(room) !== undefined) return;
    this.#views.delete(room);
    this.#node.session?.unsubscribe(this.#keys.roomChannel(room), this.#onMessage).catch(() => {});
  }

  apply(room: string, message: MembershipMessage): void {
    this.#views.get(room)?.apply(message);
  }

  markStale(): void {
    for (const view of this.#views.values()) view.markStale();
  }

  /** Subscribes a new session to all rooms. */
  async subscribe(session: RedisSession): Promise<void> {
    const channels = [...this.#views.keys()].map((room) => this.#keys.roomChannel(room));
    if (channels.length > 0) await session.subscribe(channels, this.#onMessage);
  }

  /** Reads the members of rooms whose changes this node may have missed. No member counts as disconnected yet. */
  async refreshStale(session: RedisSession): Promise<void> {
    const stale = [...this.#views].filter(([, { isStale }]) => isStale);
    await Promise.all(stale.map(([room]) => this.#refresh(session, room, false)));
  }

  /** Reads the members of all rooms. Members that Redis does not know count as disconnected. */
  async refreshAll(session: RedisSession): Promise<void> {
    await Promise.all([...this.#views.keys()].map((room) => this.#refresh(session, room, true)));
  }

  /** Lists the IDs of a room, even if this node does not watch it. Without Redis, lists those that this node knows. */
  async list(room: string): Promise<readonly string[]> {
    const view = this.#views.get(room);
    let ids: readonly string[] = [...view?.ids ?? []];
    const { session } = this.#node;
    if (session === null || view?.isStale === false) return ids;
    const put = (requestId: number) =>
      session.run("members", this.#keys.ids(room), this.#node.id, requestId);
    await this.#requests.request(put, (answer) => ids = answer?.ids ?? ids).catch(() => {});
    return ids;
  }

  #refresh(session: RedisSession, room: string, areAll: boolean): Promise<void> {
    const put = (requestId: number) =>
      session.run("members", this.#keys.ids(room), this.#node.id, requestId);
    return this.#requests.request(put, (answer) => {
      if (answer === null) throw new Error("no answer");
      this.#views.get(room)?.reset(answer.ids, areAll);
    });
  }
}
