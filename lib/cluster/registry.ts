/** The IDs of this node's clients, as Redis knows them: claimed, held, given up, made known again. */

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
import { idsKey, mailKeys, readEntry } from "./keys.ts";
import {
  type AnswerMessage,
  type DirectMessage,
  readMessage,
  type ReplacedMessage,
} from "./messages.ts";
import type { Node } from "./node.ts";
import type { Questions } from "./questions.ts";
import type { RedisSession } from "./redis.ts";
import type { Rooms } from "./rooms.ts";

/** What Redis knows of a client of this node. */
interface Record {
  /** Of the claim; 0 until Redis has numbered it. */
  number: number;
  /** By Redis's clock, in milliseconds since 1970. */
  readonly claimedAtMs: number;
  /** Of the secret; `""` where there is none. */
  readonly secretHash: string;
  /** Whether Redis knows it, as far as can be told. */
  isKnown: boolean;
  /** What has to wait until it does. */
  waiting: Waiting[];
}

/** A message that waits for those that were kept for its target, and were sent before. */
interface Waiting {
  readonly number: number | undefined;
  handle(): void;
}

/** The secret that a connection gives, and the one that it gets if it does not resume. */
interface Secrets {
  readonly given: string | null;
  readonly fresh: string | null;
  /** Whether the client chose it: then its ID is never held. */
  readonly isOwn: boolean;
}

/** Claims of one ID that are under way. */
interface Claims {
  count: number;
  /** What may only be done when it is clear who has the ID. */
  waiting: (() => void)[];
}

/** So many registrations are made known again at a time. */
const RECLAIMS_AT_ONCE = 1000;
/** So many messages may wait for what was kept for their target: rather out of order than without a bound. */
const MAX_WAITING = 1000;

export class Registry {
  readonly #options: DirectoryOptions;
  readonly #router: Router;
  readonly #node: Node;
  readonly #questions: Questions;
  readonly #rooms: Rooms;
  readonly #onKept: (message: DirectMessage) => void;
  readonly #records = new Map<Session, Record>();
  readonly #claims = new Map<string, Claims>();

  /** @param onKept is handed each message that was kept for an ID, when this node has got it */
  constructor(
    options: DirectoryOptions,
    router: Router,
    node: Node,
    questions: Questions,
    rooms: Rooms,
    onKept: (message: DirectMessage) => void,
  ) {
    this.#options = options;
    this.#router = router;
    this.#node = node;
    this.#questions = questions;
    this.#rooms = rooms;
    this.#onKept = onKept;
  }

  /**
   * Claims an ID for a connection of this node.
   *
   * @param enter is called as soon as Redis has decided, before anything that was decided later arrives. If Redis cannot
   * be reached, this node decides alone.
   * @throws {ProtocolError} `id_taken`, `id_held`, and what `enter` throws
   */
  async claim(registration: Registration, ownsId: boolean, enter: Enter): Promise<void> {
    const { clientId: id, room } = registration;
    const secrets = this.#secretsFor(registration);
    const view = this.#rooms.enter(room);
    const put = (question: number) =>
      this.#node.run(
        "claim",
        ...mailKeys(room, id),
        room,
        id,
        this.#node.id,
        this.#options.onDuplicate,
        ownsId ? 1 : 0,
        hash(secrets.given, secrets.isOwn),
        hash(secrets.fresh, secrets.isOwn),
        view.isStale ? 1 : 0,
        question,
        this.#node.notAfterMs,
      );
    view.claims++;
    this.#beginClaim(room, id);
    try {
      await this.#questions.ask(put, (answer) => {
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

  /** Decides without Redis, which learns of it later. */
  #claimAlone(registration: Registration, ownsId: boolean, enter: Enter): void {
    const { clientId: id, room } = registration;
    const existing = this.#router.find(room, id);
    const heldForMs = () => this.#router.heldForMs(existing!);
    const claim = decideClaim(existing, registration, ownsId, this.#options, heldForMs);
    const record = {
      number: 0,
      claimedAtMs: this.#node.redisTimeMs,
      secretHash: hash(claim.secret, registration.ownSecret !== undefined),
      isKnown: false,
      waiting: [],
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
    record.waiting = this.#records.get(entry.session)?.waiting ?? [];
    this.#records.set(entry.session, record);
    return entry;
  }

  #secretsFor({ resume, ownSecret }: Registration): Secrets {
    if (ownSecret !== undefined) return { given: ownSecret, fresh: ownSecret, isOwn: true };
    const isOn = resume !== false && this.#options.resumeTtlMs > 0;
    const given = isOn && resume !== true ? resume : null;
    return { given, fresh: isOn ? newSecret() : null, isOwn: false };
  }

  /** The connection may have ended meanwhile. Then the ID is given up: by an older one, too, which Redis knows no more. */
  #checkEntered(room: string, id: string, record: Record, resumed: boolean): void {
    const client = this.#router.find(room, id);
    if (client !== undefined && this.#records.get(client) === record) return;
    if (client !== undefined) this.#evict(client);
    this.#release(room, id, record, resumed ? this.#options.resumeTtlMs : 0);
  }

  #beginClaim(room: string, id: string): void {
    const key = clientKey(room, id);
    const claims = this.#claims.get(key) ?? { count: 0, waiting: [] };
    claims.count++;
    this.#claims.set(key, claims);
  }

  /** What has waited goes first: whoever has got the ID can be sent to from here on. */
  #endClaim(room: string, id: string): void {
    const key = clientKey(room, id);
    const claims = this.#claims.get(key)!;
    const { waiting } = claims;
    claims.waiting = [];
    if (--claims.count === 0) this.#claims.delete(key);
    for (const action of waiting) action();
  }

  /**
   * While this node is claiming an ID, what its clients have for that waits: part of it going through Redis, part not,
   * would get out of order. Null where there is no claim, and nothing has to wait; otherwise what the action results in,
   * which is called as soon as the claim is decided.
   */
  afterClaim<Result>(
    room: string,
    id: string,
    action: () => Result | Promise<Result>,
  ): Promise<Result> | null {
    const claims = this.#claims.get(clientKey(room, id));
    if (claims === undefined) return null;
    return new Promise((resolve) => claims.waiting.push(() => resolve(action())));
  }

  /**
   * Handles a message that has come for a client, but not before those that were kept for it and sent earlier.
   *
   * @param number of the message; undefined where all that was kept was sent earlier
   */
  afterKept(client: Session, number: number | undefined, handle: () => void): void {
    const record = this.#records.get(client);
    if (record === undefined || record.isKnown) return handle();
    record.waiting.push({ number, handle });
    if (record.waiting.length > MAX_WAITING) goOn(record);
  }

  /** Delivers what was kept for a client, and what has waited for that, in the order in which it was sent. */
  #deliver(mail: readonly string[], { waiting }: Record): void {
    const kept = mail.map(readMessage).filter((message) => message?.kind === "message");
    for (const { number, handle } of waiting.splice(0)) {
      const later = kept.findIndex((message) => number !== undefined && message.number! > number);
      const earlier = kept.splice(0, later === -1 ? kept.length : later);
      for (const message of earlier) this.#onKept(message);
      handle();
    }
    for (const message of kept) this.#onKept(message);
  }

  held(client: Session): void {
    const record = this.#records.get(client);
    if (record?.isKnown) this.#hold(client, record);
  }

  #hold({ id, room }: Session, { number }: Record): void {
    this.#node.runEarly("hold", idsKey(room.name), id, this.#node.id, number).catch(() => {});
  }

  left(client: Session): void {
    const { id, room } = client;
    const record = this.#records.get(client);
    this.#records.delete(client);
    if (record !== undefined) this.#release(room.name, id, record, 0);
    this.#rooms.leave(room.name);
    goOn(record);
  }

  #release(room: string, id: string, record: Record, ttlMs: number): void {
    const forget = () => {
      if (this.#router.find(room, id) === undefined) this.#rooms.get(room)?.remove(id);
    };
    if (!record.isKnown) return forget();
    this.#node.runEarly("release", idsKey(room), room, id, this.#node.id, record.number, ttlMs)
      .catch(forget);
  }

  /** A newer connection of another node has taken an ID over. */
  replaced({ room, id, claim }: ReplacedMessage): void {
    const client = this.#router.find(room, id);
    if (client !== undefined && this.#records.get(client)?.number === claim) this.#evict(client);
  }

  #evict(client: Session): void {
    const record = this.#records.get(client);
    this.#records.delete(client);
    this.#router.evict(client);
    goOn(record);
  }

  /** The number of a client's claim; 0 where Redis has not numbered it. */
  claimOf(client: Session): number {
    return this.#records.get(client)?.number ?? 0;
  }

  /** Whether a client that is not connected here may be, or come to be, elsewhere. */
  mayBeElsewhere(client: Session): boolean {
    return this.#router.find(client.room.name, client.id) === client || client.hasMoved;
  }

  /** Redis cannot be reached: it may know nothing of this node's clients when it can. */
  doubtAll(): void {
    for (const record of this.#records.values()) record.isKnown = false;
  }

  /** Makes known which clients this node has, and learns who is in their rooms. */
  async catchUp(session: RedisSession): Promise<void> {
    do {
      await this.#reclaimUnknown(session);
      await this.#rooms.refreshStale(session);
    } while (this.#unknown().length > 0); // some may have come meanwhile
  }

  async #reclaimUnknown(session: RedisSession): Promise<void> {
    for (let unknown = this.#unknown(); unknown.length > 0; unknown = this.#unknown()) {
      await Promise.all(unknown.map(([client, record]) => this.#reclaim(session, client, record)));
    }
  }

  #unknown(): [Session, Record][] {
    const unknown: [Session, Record][] = [];
    for (const entry of this.#records) {
      if (!entry[1].isKnown && unknown.push(entry) === RECLAIMS_AT_ONCE) break;
    }
    return unknown;
  }

  #reclaim(session: RedisSession, client: Session, record: Record): Promise<void> {
    const { id, room } = client;
    const isHeld = client.connection === null;
    const put = (question: number) =>
      session.run(
        "reclaim",
        ...mailKeys(room.name, id),
        room.name,
        id,
        this.#node.id,
        record.number,
        record.claimedAtMs,
        record.secretHash,
        isHeld ? 1 : 0,
        question,
        this.#node.notAfterMs,
      );
    return this.#questions.ask(put, (answer) => {
      if (answer === null) throw new Error("no answer");
      if (answer.status === "lost") return this.#lost(client, record);
      record.number = answer.claim;
      record.isKnown = true;
      if (!this.#records.has(client)) this.#release(room.name, id, record, 0);
      else if (!isHeld && client.connection === null) this.held(client);
      this.#deliver(answer.mail, record);
    });
  }

  #lost(client: Session, record: Record): void {
    if (this.#records.get(client) === record) this.#evict(client);
  }

  /** Clients that left while Redis could not be told. */
  async forgetLeft(session: RedisSession): Promise<void> {
    const known = await session.run("owned", this.#node.id) as string[];
    await Promise.all(known.map(async (entry) => {
      const [room, id] = readEntry(entry);
      if (this.#router.find(room, id) !== undefined) return;
      await session.run("forget", idsKey(room), room, id, this.#node.id);
    }));
  }
}

function readClaim(
  { status, claim: number, claimedAtMs }: AnswerMessage,
  secrets: Secrets,
): { claim: Claim; record: Record } {
  const resumed = status === "resumed";
  const secret = resumed ? secrets.given : secrets.fresh;
  const secretHash = hash(secret, secrets.isOwn);
  const record = { number, claimedAtMs, secretHash, isKnown: true, waiting: [] };
  return { claim: { resumed, secret }, record };
}

function goOn(record: Record | undefined): void {
  for (const { handle } of record?.waiting.splice(0) ?? []) handle();
}

/** What of a secret is known to Redis; `""` for none. See SCRIPTS for the `=`. */
function hash(secret: string | null, isOwn: boolean): string {
  if (secret === null) return "";
  return (isOwn ? "=" : "") + createHash("sha256").update(secret).digest("base64");
}
