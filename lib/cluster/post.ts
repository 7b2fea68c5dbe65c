/** Messages between nodes: sent, kept, delivered, given back. */

import { Buffer } from "node:buffer";
import type { Clock } from "../clock.ts";
import type { Emit } from "../events.ts";
import { type DirectoryOptions, undelivered } from "../relay/directory.ts";
import { costOf, MAILBOX_LIMITS } from "../relay/mailbox.ts";
import type { Router } from "../relay/router.ts";
import type { Session } from "../relay/session.ts";
import {
  clientKey,
  isClientId,
  type Message,
  type Notice,
  type Storage,
} from "../relay/vocabulary.ts";
import { KeptMessages } from "./kept.ts";
import { mailKeys, roomChannel } from "./keys.ts";
import { type DirectMessage, type ReturnedMessage, writeMessage } from "./messages.ts";
import type { Node } from "./node.ts";
import type { Registry } from "./registry.ts";

/** So many bytes may be on their way to Redis; more would only wait in this node's memory. */
const MAX_BYTES_UNDER_WAY = MAILBOX_LIMITS.bytesInAll;

/** What became of a message. */
type Outcome = "sent" | "kept" | "full" | "off" | "unavailable";

export class Post {
  readonly #resumeTtlMs: number;
  #mailboxTtlMs: number;
  readonly #emit: Emit;
  readonly #router: Router;
  readonly #node: Node;
  readonly #registry: Registry;
  readonly #kept: KeptMessages;
  #messageCount = 0;
  #bytesUnderWay = 0;

  constructor(
    options: DirectoryOptions,
    emit: Emit,
    router: Router,
    node: Node,
    registry: Registry,
    clock: Clock,
  ) {
    this.#resumeTtlMs = options.resumeTtlMs;
    this.#mailboxTtlMs = options.mailboxTtlMs;
    this.#emit = emit;
    this.#router = router;
    this.#node = node;
    this.#registry = registry;
    this.#kept = new KeptMessages(clock, (messages) => {
      const { room, targetId } = messages[0]!;
      const [, mail, size] = mailKeys(room, targetId);
      const each = messages.flatMap(({ id, bytes }) => [id, bytes]);
      return this.#node.run("expire", mail, size, ...each);
    });
  }

  /** How many messages Redis keeps on behalf of this node, or may do so in a moment. */
  get kept(): number {
    return this.#kept.size;
  }

  /** Sends a client's message to one that is not connected here. */
  async send(from: Session, targetId: string, message: Message): Promise<void> {
    const outcome = await this.#send(from, targetId, message)
      .catch((error): Outcome => {
        this.#emit({ kind: "internal_error", where: "post", error });
        return "unavailable";
      });
    switch (outcome) {
      case "sent":
        return this.#emit({ kind: "sent", from, targetId, message });
      case "kept":
        return this.#emit({ kind: "stored", from, targetId, message });
      case "full":
        return this.#router.fail(from, undelivered("mailbox_full", targetId));
      case "off":
        if (message.storage?.maxTtlMs === 0) return;
        return this.#router.fail(from, undelivered("target_not_found", targetId));
      case "unavailable":
        return this.#router.fail(from, undelivered("unavailable", targetId));
    }
  }

  async #send(from: Session, targetId: string, message: Message): Promise<Outcome> {
    if (!isClientId(targetId)) return "off"; // no client can ever come for it
    const { text } = message;
    return await this.#underWay(Buffer.byteLength(text), () => {
      const sendAgain = () =>
        this.#router.deliver(from, targetId, text) ? "sent" : this.#send(from, targetId, message);
      return this.#registry.afterClaim(from.room.name, targetId, sendAgain) ??
        this.#sendOrKeep(from, targetId, message);
    });
  }

  /** Does something with so many bytes, unless too many are under way. */
  async #underWay(bytes: number, action: () => Promise<Outcome>): Promise<Outcome> {
    if (this.#bytesUnderWay + bytes > MAX_BYTES_UNDER_WAY) return "unavailable";
    this.#bytesUnderWay += bytes;
    try {
      return await action();
    } finally {
      this.#bytesUnderWay -= bytes;
    }
  }

  async #sendOrKeep(
    from: Session,
    targetId: string,
    { text: frame, storage }: Message,
  ): Promise<Outcome> {
    if (!this.#node.isReady) return "unavailable";
    const room = from.room.name;
    const bytes = Buffer.byteLength(frame);
    const id = this.#newMessageId();
    const cost = costOf(from, clientKey(room, targetId), bytes);
    const maxMessages = this.#kept.hasCapacityFor(cost) ? MAILBOX_LIMITS.messagesPerTarget : 0;
    // Before the reply: somebody may have fetched it by then.
    const report = () => this.#report(from, targetId);
    const ttlMs = this.#ttlMsFor(storage);
    const expiresTogether = storage?.expiresTogether ?? false;
    const kept = { id, room, targetId, bytes, cost, ttlMs, expiresTogether, report };
    this.#kept.add(kept);
    const sender = { node: this.#node.id, id: from.id };
    const rule = storage && { storage };
    const message = { kind: "message", room, targetId, frame, sender, ...rule } as const;
    const delivery = await this.#run(message, id, bytes, { maxMessages });
    if (delivery !== "kept") this.#kept.delete(id);
    if (delivery === "full") this.#kept.dropTogether(kept);
    return delivery;
  }

  /** Nobody came for a message. */
  #report(from: Session, targetId: string): void {
    this.#router.fail(from, undelivered("target_not_found", targetId));
  }

  #ttlMsFor(storage: Storage | undefined): number {
    return Math.min(this.#mailboxTtlMs, storage?.maxTtlMs ?? Infinity);
  }

  #newMessageId(): string {
    return `${this.#node.id}:${++this.#messageCount}`;
  }

  /** @param returnedClaim where it has come here and could not be delivered: the number of its target's claim */
  async #run(
    message: DirectMessage,
    messageId: string,
    bytes: number,
    {
      maxMessages = MAILBOX_LIMITS.messagesPerTarget as number,
      returnedClaim = null as number | null,
    },
  ): Promise<Outcome> {
    const { room, targetId, sender, storage } = message;
    // What the server itself has to say waits for as long as its client may come back, and is small.
    const isReport = sender === null;
    // What comes back, and what the server has to say, does not wait until all of this node's clients are known again.
    const reply = await this.#node.runEarly(
      "send",
      ...mailKeys(room, targetId),
      room,
      targetId,
      writeMessage(message),
      messageId,
      bytes,
      sender?.node ?? "",
      sender?.id ?? "",
      isReport && this.#mailboxTtlMs > 0 ? this.#resumeTtlMs : this.#ttlMsFor(storage),
      isReport ? Number.MAX_SAFE_INTEGER : maxMessages,
      isReport ? Number.MAX_SAFE_INTEGER : MAILBOX_LIMITS.bytesPerTarget,
      returnedClaim === null ? "" : this.#node.id,
      returnedClaim ?? 0,
      this.#node.notAfterMs,
      storage?.expiresTogether ? 1 : 0,
    ).catch(() => "late");
    return reply === "late" ? "unavailable" : reply as Outcome;
  }

  /** Sends a frame to all clients of the sender's room on other nodes. */
  async broadcast(from: Session, frame: string): Promise<void> {
    const text = writeMessage({ kind: "broadcast", node: this.#node.id, frame });
    const delivery = await this.#underWay(Buffer.byteLength(frame), async () => {
      const channel = roomChannel(from.room.name);
      const reply = await this.#node.run("broadcast", channel, text, this.#node.notAfterMs)
        .catch(() => "late");
      return reply === "late" ? "unavailable" : "sent";
    });
    if (delivery === "sent") return;
    const message =
      "The broadcast went to the clients of this node alone: the others cannot be reached.";
    this.#router.fail(from, { kind: "error", code: "unavailable", message });
  }

  /** Tells a client something that is not connected here, if it may be, or come to be, elsewhere. */
  notify(session: Session, notice: Notice): void {
    if (!this.#registry.mayBeElsewhere(session)) return;
    this.#tellById(session.room.name, session.id, JSON.stringify(notice));
  }

  #tellById(room: string, id: string, frame: string, returnedClaim: number | null = null): void {
    const message = { kind: "message", room, targetId: id, frame, sender: null } as const;
    this.#run(message, this.#newMessageId(), Buffer.byteLength(frame), { returnedClaim });
  }

  /** Somebody has come for a message that was kept. */
  fetched(messageId: string): void {
    this.#kept.delete(messageId);
  }

  /** A message of this node's client is kept after all. */
  returned(message: ReturnedMessage): void {
    const { messageId: id, room, targetId, senderId, bytes, ttlMs, expiresTogether } = message;
    const report = () => {
      const from = this.#router.find(room, senderId);
      if (from !== undefined) return this.#report(from, targetId);
      this.#tellById(room, senderId, JSON.stringify(undelivered("target_not_found", targetId)));
    };
    const sender = this.#router.find(room, senderId) ?? { address: "" };
    const cost = costOf(sender, clientKey(room, targetId), bytes);
    this.#kept.add({ id, room, targetId, bytes, cost, ttlMs, expiresTogether, report });
  }

  /** A message has come from another node or, where it has a number, from the mailbox. */
  deliver(message: DirectMessage): void {
    const { sender } = message;
    const wasKept = message.number !== undefined;
    const target = this.#router.find(message.room, message.targetId);
    if (sender !== null && target !== undefined) {
      this.#router.flushBefore(message.room, sender.id, target);
    }
    const isDelivered = sender === null
      ? target?.connection?.notify(JSON.parse(message.frame))
      : target?.connection?.send(message.frame);
    if (target !== undefined && isDelivered) {
      if (wasKept && sender !== null) this.#emit({ kind: "stored_delivered", client: target });
    } else {
      const claim = target === undefined ? 0 : this.#registry.claimOf(target);
      this.#giveBack(message, claim).catch((error) =>
        this.#emit({ kind: "internal_error", where: "post", error })
      );
    }
  }

  /** The target has gone while the message was under way: it is kept as if it had not been sent yet. */
  async #giveBack(message: DirectMessage, returnedClaim: number): Promise<void> {
    const { room, targetId, sender, frame, storage } = message;
    if (storage?.maxTtlMs === 0) return; // it is never stored, and its sender not notified
    if (sender === null) return this.#tellById(room, targetId, frame, returnedClaim);
    const bytes = Buffer.byteLength(frame);
    const delivery = await this.#run(message, this.#newMessageId(), bytes, { returnedClaim });
    const fail = (code: "mailbox_full" | "target_not_found") =>
      this.#tellById(room, sender.id, JSON.stringify(undelivered(code, targetId)));
    if (delivery === "full") fail("mailbox_full");
    else if (delivery === "off") fail("target_not_found");
  }

  /** This node leaves: it could not report any more that nobody came for what is kept, so it does now. */
  async giveUpKept(): Promise<void> {
    this.#mailboxTtlMs = 0;
    await this.#kept.giveUp();
  }
}
