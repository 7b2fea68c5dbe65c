/** Lets connections register: checks the token, claims the ID, composes the answer. */

import { allows, type Authenticator } from "../auth/tokens.ts";
import type { IceServer } from "../auth/turn.ts";
import type { Cluster } from "../cluster/cluster.ts";
import {
  describe,
  idTaken,
  ProtocolError,
  registeredFrame,
  type Registration,
} from "./vocabulary.ts";
import type { Client, Link, Registered, Router } from "./router.ts";

export class Registrar {
  readonly #router: Router;
  readonly #authenticator: Authenticator | null;
  readonly #iceServersFor: ((clientId: string) => readonly IceServer[]) | null;
  readonly #cluster: Cluster | null;

  /**
   * @param authenticator null where nobody needs a token
   * @param iceServersFor null where no ICE servers are configured
   * @param cluster null where this node serves alone
   */
  constructor(
    router: Router,
    authenticator: Authenticator | null,
    iceServersFor: ((clientId: string) => readonly IceServer[]) | null,
    cluster: Cluster | null = null,
  ) {
    this.#router = router;
    this.#authenticator = authenticator;
    this.#iceServersFor = iceServersFor;
    this.#cluster = cluster;
  }

  /** Whether {@link register} can be called without {@link authorize}, and has done its work when it returns. */
  get isImmediate(): boolean {
    return this.#authenticator === null && this.#cluster === null;
  }

  /**
   * Checks the token of a registration. Tells whether it makes the ID its bearer's own.
   *
   * @param requestToken what came with the upgrade request; a `token` member goes before it
   * @throws {ProtocolError} `unauthorized` or `forbidden`
   */
  async authorize(registration: Registration, requestToken: string | null): Promise<boolean> {
    if (this.#authenticator === null) return false;
    const { clientId, room } = registration;
    const token = registration.token ?? requestToken;
    if (token !== null && typeof token !== "string") {
      throw new ProtocolError("unauthorized", "The token must be a string.");
    }
    const grant = await this.#authenticator.check(token);
    if (!allows(grant, clientId, room)) {
      const place = room === "" ? "without a room" : `in room ${describe(room)}`;
      const message = `The token does not allow ${describe(clientId)} ${place}.`;
      throw new ProtocolError("forbidden", message);
    }
    return grant.clientId === clientId;
  }

  /**
   * Registers a connection, answers it, and delivers what was kept for it. In a cluster the others are asked first: then
   * the answer is a promise.
   *
   * @param ownsId what {@link authorize} said
   * @throws {ProtocolError} `id_taken`
   */
  register(registration: Registration, link: Link, ownsId: boolean): void | Promise<void> {
    if (this.#cluster !== null) return this.#claim(this.#cluster, registration, link, ownsId);
    const { client, resumed } = this.#registerHere(registration, link, ownsId);
    this.#answer(client, registration, resumed);
    this.#router.deliverKept(client);
  }

  #claim(
    cluster: Cluster,
    registration: Registration,
    link: Link,
    ownsId: boolean,
  ): Promise<void> {
    return cluster.claim(registration, ownsId, (claim) => {
      if (!link.isServed) return;
      const { client, resumed } = claim === null
        ? this.#registerHere(registration, link, ownsId)
        : { client: this.#router.enter(registration, link, claim), resumed: claim.resumed };
      cluster.entered(client, claim);
      this.#answer(client, registration, resumed);
    });
  }

  /** Registers by what this node knows alone. */
  #registerHere(registration: Registration, link: Link, ownsId: boolean): Registered {
    const registered = this.#router.register(registration, link, ownsId);
    if (registered !== null) return registered;
    throw new ProtocolError("id_taken", idTaken(registration.clientId));
  }

  /** A client that is registered registers once more, as the same: it may ask for presence or for none, and is answered. */
  registerAgain(client: Client, registration: Registration): void {
    this.#router.setPresence(client, registration.presence);
    this.#answer(client, registration, false);
  }

  #answer(client: Client, registration: Registration, resumed: boolean): void {
    const secret = registration.resume === false ? null : client.secret;
    client.link?.send(registeredFrame({
      client_id: client.id,
      room: client.room.name || undefined,
      peers: registration.presence ? this.#router.peersOf(client) : undefined,
      resume: secret ?? undefined,
      resumed: secret === null ? undefined : resumed,
      ice_servers: this.#iceServersFor?.(client.id),
    }));
  }
}
