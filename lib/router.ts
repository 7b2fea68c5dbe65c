/** Who is connected under which ID, and the way of a frame from one client to another or to all. */

import { fromMember } from "./envelope.ts";
import type { ClientInfo, Events } from "./events.ts";

/** What the router needs of a connection. */
export interface Link {
  readonly address: string;
  /** Sends a frame; false where the connection can take none any more. */
  send(frame: string): boolean;
  /** A newer connection has registered this one's ID. */
  replaced(): void;
}

/** A registered client. */
export class Client implements ClientInfo {
  readonly id: string;
  /** What {@link readdress} puts into this client's frames. */
  readonly from: string;
  /** The connection that serves it now: a newer one may have taken its place. */
  link: Link;

  constructor(id: string, link: Link) {
    this.id = id;
    this.from = fromMember(id);
    this.link = link;
  }

  get address(): string {
    return this.link.address;
  }
}

/** What a second registration of a connected ID does. */
export type DuplicateRule = "replace" | "reject";

export class Router {
  readonly #clients = new Map<string, Client>();
  readonly #onDuplicate: DuplicateRule;
  readonly #events: Events;

  constructor(onDuplicate: DuplicateRule, events: Events) {
    this.#onDuplicate = onDuplicate;
    this.#events = events;
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Gives `id` to a connection; null where it is another's, and stays so. */
  register(id: string, link: Link): Client | null {
    const client = this.#clients.get(id);
    if (client === undefined) return this.#join(id, link);
    if (this.#onDuplicate === "reject") return null;
    const older = client.link;
    client.link = link;
    older.replaced();
    this.#events.registered(client);
    return client;
  }

  #join(id: string, link: Link): Client {
    const client = new Client(id, link);
    this.#clients.set(id, client);
    this.#events.registered(client);
    return client;
  }

  /** The end of a connection. One that was replaced no longer serves the client, and so cannot take its ID away. */
  unregister(client: Client, link: Link): void {
    if (client.link !== link) return;
    this.#clients.delete(client.id);
    this.#events.unregistered(client);
  }

  /** Sends a frame to one client; false where no such client is connected. */
  send(targetId: string, frame: string): boolean {
    return this.#clients.get(targetId)?.link.send(frame) ?? false;
  }

  /** Sends a frame to all clients but `from`, and tells to how many. */
  broadcast(from: Client, frame: string): number {
    let recipients = 0;
    for (const client of this.#clients.values()) {
      if (client !== from && client.link.send(frame)) recipients++;
    }
    return recipients;
  }
}
