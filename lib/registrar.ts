/** Lets connections register: checks the token, claims the ID, composes the answer. */

import { allows, type Authenticator } from "./auth.ts";
import type { IceServer } from "./ice.ts";
import { describe, ProtocolError, registeredFrame, type Registration } from "./protocol.ts";
import type { Client, Link, Router } from "./router.ts";

export class Registrar {
  readonly #router: Router;
  readonly #authenticator: Authenticator | null;
  readonly #iceServersFor: ((clientId: string) => readonly IceServer[]) | null;

  /**
   * @param authenticator null where nobody needs a token
   * @param iceServersFor null where no ICE servers are configured
   */
  constructor(
    router: Router,
    authenticator: Authenticator | null,
    iceServersFor: ((clientId: string) => readonly IceServer[]) | null,
  ) {
    this.#router = router;
    this.#authenticator = authenticator;
    this.#iceServersFor = iceServersFor;
  }

  /** Whether tokens are needed, and so {@link authorize} has to come before {@link register}. */
  get needsToken(): boolean {
    return this.#authenticator !== null;
  }

  /**
   * Checks the token of a registration. Tells whether it makes the ID its bearer's own.
   *
   * @param requestToken what came with the upgrade request; a `token` member goes before it
   * @throws {ProtocolError} `unauthorized` or `forbidden`
   */
  async authorize(registration: Registration, requestToken: string | null): Promise<boolean> {
    const { clientId, room, token = requestToken } = registration;
    if (this.#authenticator === null) return false;
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
   * Registers a connection, answers it, and delivers what was kept for it.
   *
   * @param ownsId what {@link authorize} said
   * @throws {ProtocolError} `id_taken`
   */
  register(registration: Registration, link: Link, ownsId: boolean): Client {
    const registered = this.#router.register(registration, link, ownsId);
    if (registered === null) {
      const message = `Another client has the ID ${describe(registration.clientId)}.`;
      throw new ProtocolError("id_taken", message);
    }
    const { client, resumed } = registered;
    this.#answer(client, registration, resumed);
    this.#router.deliverKept(client);
    return client;
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
