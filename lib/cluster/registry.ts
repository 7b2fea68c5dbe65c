/** Claims, holds and releases the IDs of this node's clients in Redis, and claims them again if Redis has lost them. */

import { createHash } from "node:crypto";
import {
  type Claim,
  decideClaim,
  type DirectoryOptions,
  type Enter,
  idHeld,
  idTaken,
} from "../relay/directory.ts";
import type { Router } from "../relay/router.ts";
import { newSecret, type Session } from "../relay/session.ts";
import { clientKey, type Registration } from "../relay/vocabulary.ts";
import { type Keys, readEntry } from "./keys.ts";
import {
  type AnswerMessage,
  type DirectMessage,
  readMessage,
  type ReplacedMessage,
} from "./messages.ts";
import type { Node } from "./node.ts";
import type { PendingRequests } from "./pending_requests.ts";
import type { RedisSession } from "./redis.ts";
import type { Rooms } from "./rooms.ts";

/** The registration of a client of this node, as Redis stores it. */
interface Record {
  /** The epoch of the registration; 0 before Redis has assigned one. */
  epoch: number;
  /** The time of the claim by Redis' clock, in milliseconds since 1970. */
  readonly claimedAtMs: number;
  /** The hash of the secret; `""` if there is none. */
  readonly secretHash: string;
  /** True if Redis is known to have it. */
  isConfirmed: boolean;
  /** Messages that wait until it is confirmed. */
  pending: Pending[];
}

/** A message that waits for older messages, which are stored for its target. */
interface Pending {
  readonly number: number | undefined;
  handle(): void;
}

/** The secret that a client gives, and the one that it gets if it does not resume. */
interface Secrets {
  readonly given: string | null;
  readonly fresh: string | null;
  /** True if the client chose the secret: then its ID is never held. */
  readonly isOwn: boolean;
}

/** The pending claims of one ID. */
interface Claims {
  count: number;
  /** Actions that wait until the owner of the ID is known. */
  pending: (() => void)[];
}

/** The number of registrations that are claimed again at a time. */
const RECLAIMS_AT_ONCE = 1000;
/** Upper bound of the messages that wait for older ones. Past it, the node delivers them out of order. */
const MAX_PENDING = 1000;

export class Registry {
  readonly #keys: Keys;
  readonly #options: DirectoryOptions;
  readonly #router: Router;
  readonly #node: Node;
  readonly #requests: PendingRequests;
  readonly #rooms: Rooms;
  readonly #onStored: (message: DirectMessage) => void;
  readonly #records = new Map<Session, Record>();
  readonly #claims = new Map<string, Claims>();

  /** @param onStored receives each message that was stored for an ID, once this node has the ID */
  constructor(
    keys: Keys,
    options: DirectoryOptions,
    router: Router,
    node: Node,
    requests: PendingRequests,
    rooms: Rooms,
    onStored: (message: DirectMessage) => void,
  ) {
    this.#keys = keys;
    this.#options = options;
    this.#router = router;
    this.#node = node;
    this.#requests = requests;
    this.#rooms = rooms;
    this.#onStored = onStored;
  }

  /**
   * Claims an ID for a connection of this node.
   *
   * @param enter is called when Redis has decided, before the result of any later decision arrives. If Redis cannot be
   * reached, this node decides alone.
   * @throws {ProtocolError} `id_taken`, `id_held`, and what `enter` throws
   */
  async claim(registration: Registration, ownsId: boolean, enter: Enter): Promise<void> {
    const { clientId: id, room } = registration;
    const secrets = this.#secretsFor(registration);
    const view = this.#rooms.enter(room);
    const put = (requestId: number) =>
      this.#node.run(
        "claim",
        ...this.#keys.mail(room, id),
        room,
        id,
        this.#node.id,
        this.#options.onDuplicate,
        ownsId ? 1 : 0,
        hash(secrets.given, secrets.isOwn),
        hash(secrets.fresh, secrets.isOwn),
        view.isStale ? 1 : 0,
        requestId,
        this.#node.deadlineMs,
      );
    view.claims++;
    this.#beginClaim(room, id);
    try {
      await this.#requests.request(put, (answer) => {
        try {
          this.#claimed(registration, ownsId, secrets, answer, enter);
        } finally {
          this.#endClaim(room, id);
        }
      });
    } finally {
      view.claims--;
      this.#rooms.leave(room);
    }
  }

  #claimed(
    registration: Registration,
    ownsId: boolean,
    secrets: Secrets,
    answer: AnswerMessage | null,
    enter: Enter,
  ): void {
    if (answer === null) return this.#claimAlone(registration, ownsId, enter);
    const { clientId: id, room } = registration;
    if (answer.status === "taken") throw idTaken(id);
    if (answer.status === "held") throw idHeld(id, this.#options.resumeTtlMs);
    const view = this.#rooms.get(room);
    if (view?.isStale) view.reset(answer.ids, true);
    const { claim, record } = readClaim(answer, secrets);
    try {
      this.#enter(claim, record, enter)?.confirm();
    } finally {
      this.#checkEntered(room, id, record, claim.resumed);
    }
    this.#deliver(answer.mail, record);
  }

  /** Decides without Redis. The ID is claimed there later. */
  #claimAlone(registration: Registration, ownsId: boolean, enter: Enter): void {
    const { clientId: id, room } = registration;
    const existing = this.#router.find(room, id);
    const heldForMs = () => this.#router.heldForMs(existing!);
    const claim = decideClaim(existing, registration, ownsId, this.#options, heldForMs);
    const record = {
      epoch: 0,
      claimedAtMs: this.#node.redisTimeMs,
      secretHash: hash(claim.secret, registration.ownSecret !== undefined),
      isConfirmed: false,
      pending: [],
    };
    const entry = this.#enter(claim, record, enter);
    if (entry === null) return;
    const view = this.#rooms.enter(room);
    if (!claim.resumed) view.remove(id);
    view.add(id);
    entry.confirm();
    if (this.#node.isReady) this.catchUp(this.#node.session!).catch(() => {});
  }

  #enter(claim: Claim, record: Record, enter: Enter) {
    const entry = enter(claim);
    if (entry === null) return null;
    record.pending = this.#records.get(entry.session)?.pending ?? [];
    this.#records.set(entry.session, record);
    return entry;
  }

  #secretsFor({ resume, ownSecret }: Registration): Secrets {
    if (ownSecret !== undefined) return { given: ownSecret, fresh: ownSecret, isOwn: true };
    const isOn = resume !== false && this.#options.resumeTtlMs > 0;
    const given = isOn && resume !== true ? resume : null;
    return { given, fresh: isOn ? newSecret() : null, isOwn: false };
  }

  /** Releases the ID if its connection ended during the claim, and evicts an older session, which Redis no longer knows. */
  #checkEntered(room: string, id: string, record: Record, resumed: boolean): void {
    const client = this.#router.find(room, id);
    if (client !== undefined && this.#records.get(client) === record) return;
    if (client !== undefined) this.#evict(client);
    this.#release(room, id, record, resumed ? this.#options.resumeTtlMs : 0);
  }

  #beginClaim(room: string, id: string): void {
    const key = clientKey(room, id);
    const claims = this.#claims.get(key) ?? { count: 0, pending: [] };
    claims.count++;
    this.#claims.set(key, claims);
  }

  /** Runs the actions that waited for the claim, before any newer one. */
  #endClaim(room: string, id: string): void {
    const key = clientKey(room, id);
    const claims = this.#claims.get(key)!;
    const { pending } = claims;
    claims.pending = [];
    if (--claims.count === 0) this.#claims.delete(key);
    for (const action of pending) action();
  }

  /**
   * Runs an action once the pending claims of an ID are decided; returns null if there are none. Messages for the ID
   * would get out of order if some went through Redis and some did not.
   */
  afterClaim<Result>(
    room: string,
    id: string,
    action: () => Result | Promise<Result>,
  ): Promise<Result> | null {
    const claims = this.#claims.get(clientKey(room, id));
    if (claims === undefined) return null;
    return new Promise((resolve) => claims.pending.push(() => resolve(action())));
  }

  /**
   * Handles a message for a client after those that were sent earlier and are stored for it.
   *
   * @param number the message's number; undefined if every stored message was sent earlier
   */
  afterStored(client: Session, number: number | undefined, handle: () => void): void {
    const record = this.#records.get(client);
    if (record === undefined || record.isConfirmed) return handle();
    record.pending.push({ number, handle });
    if (record.pending.length > MAX_PENDING) flushPending(record);
  }

  /** Delivers the stored messages of a client, and those that waited for them, in the order in which they were sent. */
  #deliver(mail: readonly string[], { pending }: Record): void {
    const stored = mail.map(readMessage).filter((message) => message?.kind === "message");
    for (const { number, handle } of pending.splice(0)) {
      const later = stored.findIndex((message) => number !== undefined && message.number! > number);
      const earlier = stored.splice(0, later === -1 ? stored.length : later);
      for (const message of earlier) this.#onStored(message);
      handle();
    }
    for (const message of stored) this.#onStored(message);
  }

  detached(client: Session): void {
    const record = this.#records.get(client);
    if (record?.isConfirmed) this.#hold(client, record);
  }

  #hold({ id, room }: Session, { epoch }: Record): void {
    this.#node.runEarly("hold", this.#keys.ids(room.name), id, this.#node.id, epoch).catch(
      () => {},
    );
  }

  left(client: Session): void {
    const { id, room } = client;
    const record = this.#records.get(client);
    this.#records.delete(client);
    if (record !== undefined) this.#release(room.name, id, record, 0);
    this.#rooms.leave(room.name);
    flushPending(record);
  }

  #release(room: string, id: string, record: Record, ttlMs: number): void {
    const forget = () => {
      if (this.#router.find(room, id) === undefined) this.#rooms.get(room)?.remove(id);
    };
    if (!record.isConfirmed) return forget();
    this.#node.runEarly(
      "release",
      this.#keys.ids(room),
      room,
      id,
      this.#node.id,
      record.epoch,
      ttlMs,
    )
      .catch(forget);
  }

  /** Evicts a client whose ID a newer connection on another node has. */
  replaced({ room, id, epoch }: ReplacedMessage): void {
    const client = this.#router.find(room, id);
    if (client !== undefined && this.#records.get(client)?.epoch === epoch) this.#evict(client);
  }

  #evict(client: Session): void {
    const record = this.#records.get(client);
    this.#records.delete(client);
    this.#router.evict(client);
    flushPending(record);
  }

  /** Returns the epoch of a client's registration; 0 before Redis has assigned one. */
  epochOf(client: Session): number {
    return this.#records.get(client)?.epoch ?? 0;
  }

  /** Returns whether a client that is not connected here may be connected, or resume, on another node. */
  mayResumeElsewhere(client: Session): boolean {
    return this.#router.find(client.room.name, client.id) === client || client.hasMoved;
  }

  /** Marks all clients as unconfirmed, because Redis cannot be reached and may have lost them. */
  unconfirmAll(): void {
    for (const record of this.#records.values()) record.isConfirmed = false;
  }

  /** Claims this node's unconfirmed clients again, and reads the members of their rooms. */
  async catchUp(session: RedisSession): Promise<void> {
    do {
      await this.#reclaimUnconfirmed(session);
      await this.#rooms.refreshStale(session);
    } while (this.#unconfirmed().length > 0); // clients may have registered meanwhile
  }

  async #reclaimUnconfirmed(session: RedisSession): Promise<void> {
    for (let batch = this.#unconfirmed(); batch.length > 0; batch = this.#unconfirmed()) {
      await Promise.all(batch.map(([client, record]) => this.#reclaim(session, client, record)));
    }
  }

  #unconfirmed(): [Session, Record][] {
    const unconfirmed: [Session, Record][] = [];
    for (const entry of this.#records) {
      if (!entry[1].isConfirmed && unconfirmed.push(entry) === RECLAIMS_AT_ONCE) break;
    }
    return unconfirmed;
  }

  #reclaim(session: RedisSession, client: Session, record: Record): Promise<void> {
    const { id, room } = client;
    const isHeld = client.connection === null;
    const put = (requestId: number) =>
      session.run(
        "reclaim",
        ...this.#keys.mail(room.name, id),
        room.name,
        id,
        this.#node.id,
        record.epoch,
        record.claimedAtMs,
        record.secretHash,
        isHeld ? 1 : 0,
        requestId,
        this.#node.deadlineMs,
      );
    return this.#requests.request(put, (answer) => {
      if (answer === null) throw new Error("no answer");
      if (answer.status === "lost") return this.#lost(client, record);
      record.epoch = answer.epoch;
      record.isConfirmed = true;
      if (!this.#records.has(client)) this.#release(room.name, id, record, 0);
      else if (!isHeld && client.connection === null) this.detached(client);
      this.#deliver(answer.mail, record);
    });
  }

  #lost(client: Session, record: Record): void {
    if (this.#records.get(client) === record) this.#evict(client);
  }

  /** Releases the IDs of clients that left while Redis could not be reached. */
  async forgetLeft(session: RedisSession): Promise<void> {
    const known = await session.run("owned", this.#node.id) as string[];
    await Promise.all(known.map(async (entry) => {
      const [room, id] = readEntry(entry);
      if (this.#router.find(room, id) !== undefined) return;
      await session.run("forget", this.#keys.ids(room), room, id, this.#node.id);
    }));
  }
}

function readClaim(
  { status, epoch, claimedAtMs }: AnswerMessage,
  secrets: Secrets,
): { claim: Claim; record: Record } {
  const resumed = status === "resumed";
  const secret = resumed ? secrets.given : secrets.fresh;
  const secretHash = hash(secret, secrets.isOwn);
  const record = { epoch, claimedAtMs, secretHash, isConfirmed: true, pending: [] };
  return { claim: { resumed, secret }, record };
}

function flushPending(record: Record | undefined): void {
  for (const { handle } of record?.pending.splice(0) ?? []) handle();
}

/** Returns the hash of a secret that Redis stores; `""` for none. The `=` marks an ID that is never held, see scripts.ts. */
function hash(secret: string | null, isOwn: boolean): string {
  if (secret === null) return "";
  return (isOwn ? "=" : "") + createHash("sha256").update(secret).digest("base64");
}
