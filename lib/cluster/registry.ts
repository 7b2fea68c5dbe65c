/** Claims, holds and releases the IDs of this node's clients in Redis, and claims them again after a loss of Redis. */

import { createHash } from "node:crypto";
import { type Attach, type Claim, decideClaim, idHeld, idTaken } from "../relay/directory.ts";
import type { DirectoryOptions } from "../relay/directory.ts";
import type { Router } from "../relay/router.ts";
import { newSecret, type Session } from "../relay/session.ts";
import type { Registration } from "../relay/vocabulary.ts";
import { atOnce, Queue } from "./at_once.ts";
import { Disconnected, unlessDisconnected } from "./disconnected.ts";
import { type Keys, readEntry } from "./keys.ts";
import type { ChangeMessage, ResponseMessage } from "./messages.ts";
import type { Node } from "./node.ts";
import type { PendingRequests } from "./pending_requests.ts";
import type { RedisSession } from "./redis.ts";
import type { Rooms } from "./rooms.ts";

/** The registration of a client of this node, as Redis stores it. */
interface Registered {
  /** The epoch of the registration; 0 before Redis has assigned one. */
  epoch: number;
  /** The time of the claim by Redis' clock, in milliseconds since 1970. */
  readonly claimedAtMs: number;
  /** The hash of the resume secret; `""` if there is none. */
  readonly secretHash: string;
  /** True if Redis has confirmed the registration. */
  isConfirmed: boolean;
}

/** The secret that a client has sent, and the one that it gets if it does not resume. */
interface Secrets {
  readonly given: string | null;
  readonly fresh: string | null;
  /** True if the client has chosen the secret, so that its ID is never held. */
  readonly isOwn: boolean;
}

interface RegistryHooks {
  /** Called after a client of this node got its `registered`. */
  onAttached(session: Session, resumed: boolean): void;
  /** Called when Redis has confirmed a client that this node has registered, or retained, alone. */
  onConfirmed(session: Session): void;
  /** Called when a newer connection at another node has taken a client's ID. */
  onEvicted(session: Session): void;
}

interface RegistryDeps {
  readonly keys: Keys;
  readonly options: DirectoryOptions;
  readonly router: Router;
  readonly node: Node;
  readonly requests: PendingRequests;
  readonly rooms: Rooms;
}

export class Registry {
  readonly #deps: RegistryDeps;
  readonly #hooks: RegistryHooks;
  readonly #records = new Map<Session, Registered>();
  readonly #claims = new Queue();

  constructor(deps: RegistryDeps, hooks: RegistryHooks) {
    this.#deps = deps;
    this.#hooks = hooks;
  }

  /**
   * Claims an ID for a connection of this node.
   *
   * @param attach is called at the response, before that of any later claim arrives; without Redis, this node decides alone
   * @throws {ProtocolError} `id_taken`, `id_held`, and what `attach` throws
   */
  async claim(registration: Registration, ownsId: boolean, attach: Attach): Promise<void> {
    const { room } = registration;
    const secrets = this.#secretsFor(registration);
    this.#deps.rooms.use(room);
    try {
      const isDone = await this.#claims.run(() =>
        this.#request(registration, ownsId, secrets, attach)
      );
      if (isDone) return;
      // The room is too large for a response with all members.
      const { redis } = this.#deps.node;
      if (redis !== null) await unlessDisconnected(this.#deps.rooms.refresh(redis, room, true));
      await this.#claims.run(() => this.#request(registration, ownsId, secrets, attach));
    } finally {
      this.#deps.rooms.release(room);
    }
  }

  /** Requests a claim; returns false if the node has to read the members of the room first. */
  async #request(
    registration: Registration,
    ownsId: boolean,
    secrets: Secrets,
    attach: Attach,
  ): Promise<boolean> {
    const { clientId: id, room } = registration;
    let isDone = true;
    const put = (requestId: number) =>
      this.#deps.node.run(
        "claim",
        ...this.#argsOf(room, id),
        this.#deps.options.onDuplicate,
        ownsId ? 1 : 0,
        hash(secrets.given, secrets.isOwn),
        hash(secrets.fresh, secrets.isOwn),
        this.#deps.rooms.get(room)?.isStale ? 1 : 0,
        requestId,
        this.#deps.node.deadlineMs,
      );
    await this.#deps.requests.request(put, (response) => {
      isDone = response?.status !== "large";
      if (isDone) this.#claimed(registration, ownsId, secrets, response, attach);
    });
    return isDone;
  }

  #claimed(
    registration: Registration,
    ownsId: boolean,
    secrets: Secrets,
    response: ResponseMessage | null,
    attach: Attach,
  ): void {
    if (response === null) return this.#claimAlone(registration, ownsId, attach);
    const { clientId: id, room } = registration;
    if (response.status === "taken") throw idTaken(id);
    if (response.status === "held") throw idHeld(id, this.#deps.options.resumeTtlMs);
    const view = this.#deps.rooms.get(room);
    if (view?.isStale) {
      view.beginScan();
      view.read(response.members);
      view.endScan(true);
    }
    const { claim, record } = readClaim(response, secrets);
    try {
      const attachment = attach(claim);
      if (attachment === null) return;
      this.#records.set(attachment.session, record);
      attachment.notifyRegistered();
      this.#hooks.onAttached(attachment.session, claim.resumed);
    } finally {
      this.#checkAttached(room, id, record, claim.resumed);
    }
  }

  /** Decides a claim without Redis. This node claims the ID once Redis can be reached. */
  #claimAlone(registration: Registration, ownsId: boolean, attach: Attach): void {
    const { clientId: id, room } = registration;
    const existing = this.#deps.router.find(room, id);
    const heldForMs = () => this.#deps.router.heldForMs(existing!);
    const claim = decideClaim(existing, registration, ownsId, this.#deps.options, heldForMs);
    const attachment = attach(claim);
    if (attachment === null) return;
    this.#records.set(attachment.session, {
      epoch: 0,
      claimedAtMs: this.#deps.node.redisTimeMs,
      secretHash: hash(claim.secret, registration.ownSecret !== undefined),
      isConfirmed: false,
    });
    const view = this.#deps.rooms.open(room);
    if (!claim.resumed) view.remove(id);
    view.set(id, { node: this.#deps.node.id, epoch: 0, isHeld: false });
    attachment.notifyRegistered();
    this.#hooks.onAttached(attachment.session, claim.resumed);
    if (this.#deps.node.isReady) unlessDisconnected(this.catchUp(this.#deps.node.redis!));
  }

  #secretsFor({ resume, ownSecret }: Registration): Secrets {
    if (ownSecret !== undefined) return { given: ownSecret, fresh: ownSecret, isOwn: true };
    const isOn = resume !== false && this.#deps.options.resumeTtlMs > 0;
    const given = isOn && resume !== true ? resume : null;
    return { given, fresh: isOn ? newSecret() : null, isOwn: false };
  }

  /** Releases the ID if its connection ended during the claim, and evicts an older session, which Redis has replaced. */
  #checkAttached(room: string, id: string, record: Registered, resumed: boolean): void {
    const session = this.#deps.router.find(room, id);
    if (session !== undefined && this.#records.get(session) === record) return;
    if (session !== undefined) this.#evict(session, resumed);
    this.#release(room, id, record, resumed ? this.#deps.options.resumeTtlMs : 0);
  }

  detached(session: Session): void {
    const record = this.#records.get(session);
    if (!record?.isConfirmed) return;
    const { id, room: { name: room } } = session;
    unlessDisconnected(this.#deps.node.runEarly("hold", ...this.#argsOf(room, id), record.epoch));
  }

  ended(session: Session): void {
    const { id, room } = session;
    const record = this.#records.get(session);
    this.#records.delete(session);
    if (record !== undefined) this.#release(room.name, id, record, 0);
    this.#deps.rooms.closeUnused(room.name);
  }

  #release(
    room: string,
    id: string,
    { epoch, isConfirmed }: Pick<Registered, "epoch" | "isConfirmed">,
    ttlMs: number,
  ): void {
    const forget = () => {
      if (this.#deps.router.find(room, id) === undefined) this.#deps.rooms.get(room)?.remove(id);
    };
    if (!isConfirmed) {
      const { node } = this.#deps;
      // While the node joins, Redis may have an earlier registration of the ID here, and none of its claims is pending.
      if (!node.isReady) unlessDisconnected(node.runEarly("forget", ...this.#argsOf(room, id)));
      return forget();
    }
    const releasing = this.#deps.node.runEarly("release", ...this.#argsOf(room, id), epoch, ttlMs);
    unlessDisconnected(releasing.then(() => true), false)
      .then((isReleased) => isReleased || forget());
  }

  /** Evicts a client whose ID a newer connection at another node has taken. */
  onChange(room: string, { kind, id, node, epoch }: ChangeMessage): void {
    if (node === this.#deps.node.id || kind === "left" || kind === "held") return;
    const session = this.#deps.router.find(room, id);
    const record = session && this.#records.get(session);
    if (record?.isConfirmed && record.epoch < epoch) this.#evict(session!, kind === "resumed");
  }

  /** Claims an ID again, or releases it, because Redis has run a claim that is no longer pending. */
  onLateClaim({ room, id, epoch }: ResponseMessage): void {
    const session = this.#deps.router.find(room, id);
    const record = session && this.#records.get(session);
    if (record === undefined) return this.#release(room, id, { epoch, isConfirmed: true }, 0);
    record.isConfirmed = false;
    unlessDisconnected(this.catchUp(this.#deps.node.redis!));
  }

  #evict(session: Session, hasMoved: boolean): void {
    const { room: { name: room } } = session;
    this.#records.delete(session);
    this.#deps.rooms.use(room); // the view routes its notices
    this.#deps.router.evict(session, hasMoved);
    this.#hooks.onEvicted(session);
    this.#deps.rooms.release(room);
  }

  /** Returns the epoch of a client's registration; 0 before Redis has assigned one. */
  epochOf(session: Session): number {
    return this.#records.get(session)?.epoch ?? 0;
  }

  /** Returns whether Redis has confirmed a client's registration. */
  isConfirmed(session: Session): boolean {
    return this.#records.get(session)?.isConfirmed ?? false;
  }

  /** Marks all clients as unconfirmed, because Redis may have lost them. */
  unconfirmAll(): void {
    for (const record of this.#records.values()) record.isConfirmed = false;
  }

  /** Claims this node's unconfirmed clients again, and reads the members of their rooms. */
  async catchUp(redis: RedisSession): Promise<void> {
    const isUnconfirmed = ([, record]: [Session, Registered]) => !record.isConfirmed;
    do {
      const unconfirmed = [...this.#records].filter(isUnconfirmed);
      await atOnce(unconfirmed, ([session, record]) => this.#reclaim(redis, session, record));
      await this.#deps.rooms.refreshStale(redis);
    } while ([...this.#records].some(isUnconfirmed)); // clients may have registered meanwhile
  }

  #reclaim(redis: RedisSession, session: Session, record: Registered): Promise<void> {
    if (this.#records.get(session) !== record) return Promise.resolve(); // it has ended
    const { id, room } = session;
    const isHeld = session.connection === null;
    const put = (requestId: number) =>
      redis.run(
        "reclaim",
        ...this.#argsOf(room.name, id),
        record.epoch,
        record.claimedAtMs,
        record.secretHash,
        isHeld ? 1 : 0,
        requestId,
        this.#deps.node.deadlineMs,
      );
    return this.#deps.requests.request(put, (response) => {
      if (response === null) throw new Disconnected("no response");
      if (response.status === "lost") {
        if (this.#records.get(session) === record) this.#evict(session, response.hasMoved);
        return;
      }
      record.epoch = response.epoch;
      record.isConfirmed = true;
      if (this.#records.get(session) !== record) return this.#release(room.name, id, record, 0);
      this.#hooks.onConfirmed(session);
      if (!isHeld && session.connection === null) this.detached(session);
    });
  }

  /** Releases the IDs of clients that disconnected while Redis could not be reached. */
  async forgetDisconnected(redis: RedisSession): Promise<void> {
    const known = await redis.run("owned", this.#deps.node.id) as string[];
    await atOnce(known, async (entry) => {
      const [room, id] = readEntry(entry);
      if (this.#deps.router.find(room, id) !== undefined) return;
      await redis.run("forget", ...this.#argsOf(room, id));
    });
  }

  /** Returns the first arguments of every script about an ID. */
  #argsOf(room: string, id: string): readonly string[] {
    return [this.#deps.keys.ids(room), room, id, this.#deps.node.id];
  }
}

function readClaim(
  { status, epoch, claimedAtMs }: ResponseMessage,
  secrets: Secrets,
): { claim: Claim; record: Registered } {
  const resumed = status === "resumed";
  const secret = resumed ? secrets.given : secrets.fresh;
  const secretHash = hash(secret, secrets.isOwn);
  return {
    claim: { resumed, secret },
    record: { epoch, claimedAtMs, secretHash, isConfirmed: true },
  };
}

/** Returns the hash of a secret for a record; `""` for none. A `=` marks an ID that is never held, see scripts.ts. */
function hash(secret: string | null, isOwn: boolean): string {
  if (secret === null) return "";
  return (isOwn ? "=" : "") + createHash("sha256").update(secret).digest("base64");
}
