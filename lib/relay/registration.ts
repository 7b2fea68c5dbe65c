/** Registers clients: checks the token, claims the ID, and notifies the client. */

import { randomUUID } from "node:crypto";
import { allows, type Authenticator, type Grant, TokenError } from "../auth/tokens.ts";
import type { IceServer } from "../auth/turn.ts";
import type { Capacity } from "./capacity.ts";
import type { Router } from "./router.ts";
import { newSecret, type Session, type SessionConnection } from "./session.ts";
import { describe, isClientId, ProtocolError, type Registration } from "./vocabulary.ts";

interface RegistrarDeps {
  readonly router: Router;
  readonly capacity: Capacity;
  /** Null if no client needs a token. */
  readonly authenticator: Authenticator | null;
  /** Null if no ICE servers are configured. */
  readonly iceServersFor: ((clientId: string) => readonly IceServer[]) | null;
}

export class Registrar {
  readonly #deps: RegistrarDeps;

  constructor(deps: RegistrarDeps) {
    this.#deps = deps;
  }

  /**
   * Registers a connection, notifies it, and delivers its stored messages. Returns a promise if that involves other machines.
   *
   * @param requestToken the token of the upgrade request; a `token` member has precedence
   * @throws {ProtocolError} `unauthorized`, `forbidden`, `id_taken`, `id_held` or `server_full`
   */
  register(
    registration: Registration,
    requestToken: string | null,
    connection: SessionConnection,
  ): void | Promise<void> {
    const { authenticator } = this.#deps;
    if (authenticator === null) return this.#claim(registration, connection, false);
    return authorize(authenticator, registration, requestToken, connection).then((ownsId) => {
      if (!connection.isOpen) return;
      // Several clients may share a token: only its `sub` proves who owns an ID.
      const own = registration.ownSecret === undefined ? {} : { ownSecret: newSecret() };
      return this.#claim({ ...registration, ...own }, connection, ownsId);
    });
  }

  /** Registers a client under a random ID. Without a valid token, it may use no topic. */
  async registerAnonymously(
    room: string,
    requestToken: string | null,
    connection: SessionConnection,
  ): Promise<void> {
    const { authenticator, capacity, router } = this.#deps;
    const topics = authenticator && await topicsOf(authenticator, requestToken, connection);
    if (!connection.isOpen) return;
    capacity.checkClient(connection.address, null);
    const registration = { room, clientId: randomUUID(), topics, token: undefined };
    const options = { presence: false, resume: false } as const;
    router.attach({ ...registration, ...options }, connection, { resumed: false, secret: null });
  }

  #claim(
    registration: Registration,
    connection: SessionConnection,
    ownsId: boolean,
  ): void | Promise<void> {
    const { router, capacity } = this.#deps;
    return router.directory.claim(registration, ownsId, (claim) => {
      if (!connection.isOpen) return null;
      const { clientId, room } = registration;
      const existing = router.find(room, clientId);
      const heldAddress = existing?.connection === null ? existing.address : null;
      if (!claim.resumed) capacity.checkClient(connection.address, heldAddress);
      const session = router.attach(registration, connection, claim);
      return {
        session,
        notifyRegistered: () => this.#notifyRegistered(session, registration, claim.resumed),
      };
    });
  }

  /**
   * Repeats the registration of a client, which may change its presence, and notifies it.
   *
   * @throws {ProtocolError} `already_registered` for another ID or room
   */
  registerAgain(session: Session, registration: Registration): void {
    const { id, room: { name } } = session;
    if (registration.clientId !== id || registration.room !== name) {
      const place = name === "" ? "" : ` in room ${describe(name)}`;
      const message = `This connection is registered as ${
        describe(id)
      }${place}: open another one for another ID or room.`;
      throw new ProtocolError("already_registered", message);
    }
    this.#deps.router.setPresence(session, registration.presence);
    this.#notifyRegistered(session, registration, false);
  }

  #notifyRegistered(session: Session, { presence, resume }: Registration, resumed: boolean): void {
    const { router, iceServersFor } = this.#deps;
    session.connection?.notify({
      kind: "registered",
      clientId: session.id,
      room: session.roomName,
      peers: presence === false ? undefined : router.peersOf(session),
      secret: resume === false ? undefined : session.secret ?? undefined,
      resumed,
      iceServers: iceServersFor?.(session.id),
    });
  }
}

/** Checks the token of a registration, and returns whether its `sub` is the client ID. */
async function authorize(
  authenticator: Authenticator,
  { clientId, room, token: member }: Registration,
  requestToken: string | null,
  connection: SessionConnection,
): Promise<boolean> {
  const token = member ?? requestToken;
  if (token !== null && typeof token !== "string") {
    throw new ProtocolError("unauthorized", `token must be a string, not ${describe(token)}.`);
  }
  const isWanted = () => connection.isOpen;
  const grant = await authenticator.check(token, isWanted).catch((error) => {
    throw error instanceof TokenError ? new ProtocolError("unauthorized", error.message) : error;
  });
  if (!allows(grant, clientId, room)) {
    throw new ProtocolError("forbidden", explainForbidden(grant, clientId, room));
  }
  return grant.clientId === clientId;
}

/** Names what the token does not allow: the ID, or else the room. */
function explainForbidden(grant: Grant, clientId: string, room: string): string {
  if (grant.clientId !== null && grant.clientId !== clientId) {
    return `The token does not allow the ID ${describe(clientId)}, only ${
      describe(grant.clientId)
    }.`;
  }
  const isNamed = isClientId(room); // a dialect's namespace is not
  const place = isNamed ? `in room ${describe(room)}` : "without a room";
  return `The token does not allow registering ${place}.`;
}

/** Returns the topics that a token allows: the rooms that it names, or null for all; no topic if the token is not valid. */
async function topicsOf(
  authenticator: Authenticator,
  token: string | null,
  connection: SessionConnection,
): Promise<readonly string[] | null> {
  try {
    return (await authenticator.check(token, () => connection.isOpen)).rooms;
  } catch (error) {
    if (error instanceof TokenError) return [];
    throw error;
  }
}
