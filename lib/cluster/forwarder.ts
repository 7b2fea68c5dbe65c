/** Sends messages to other nodes, delivers theirs, and returns those that cannot be delivered. */

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
import { StoredMessages } from "./stored_messages.ts";
import type { Keys } from "./keys.ts";
import { type DirectMessage, type ReturnedMessage, writeMessage } from "./messages.ts";
import type { Node } from "./node.ts";
import type { Registry } from "./registry.ts";

/** Upper bound of the messages on their way to Redis, in bytes; more would wait in this node's memory. */
const MAX_BYTES_UNDER_WAY = MAILBOX_LIMITS.bytesInAll;

/** The result of sending a message; `off` if it was neither sent nor stored. */
type Outcome = "sent" | "stored" | "full" | "off" | "unavailable";

export class Forwarder {
  readonly #keys: Keys;
  readonly #resumeTtlMs: number;
  #mailboxTtlMs: number;
  readonly #emit: Emit;
  readonly #router: Router;
  readonly #node: Node;
  readonly #registry: Registry;
  readonly #stored: StoredMessages;
  #messageCount = 0;
  #bytesUnderWay = 0;

  constructor(
    keys: Keys,
    options: DirectoryOptions,
    emit: Emit,
    router: Router,
    node: Node,
    registry: Registry,
    clock: Clock,
  ) {
    this.#keys = keys;
    this.#resumeTtlMs = options.resumeTtlMs;
    this.#mailboxTtlMs = options.mailboxTtlMs;
    this.#emit = emit;
    this.#router = router;
    this.#node = node;
    this.#registry = registry;
    this.#stored = new StoredMessages(clock, (messages) => {
      const { room, targetId } = messages[0]!;
      const [, mail, size] = keys.mail(room, targetId);
      const each = messages.flatMap(({ id, bytes }) => [id, bytes]);
      return this.#node.run("expire", mail, size, ...each);
    });
  }

  /** The number of this node's messages that Redis stores, or is about to store. */
  get stored(): number {
    return this.#stored.size;
  }

  /** Sends a client's message to a client that is not connected here. */
  async send(from: Session, targetId: string, message: Message): Promise<void> {
    const outcome = await this.#send(from, targetId, message)
      .catch((error): Outcome => {
        this.#emit({ kind: "internal_error", where: "forwarder", error });
        return "unavailable";
      });
    switch (outcome) {
      case "sent":
        return this.#emit({ kind: "sent", from, targetId, message });
      case "stored":
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
    if (!isClientId(targetId)) return "off"; // no client can have this ID
    const { text } = message;
    return await this.#underWay(Buffer.byteLength(text), () => {
      const sendAgain = () =>
        this.#router.deliver(from, targetId, text) ? "sent" : this.#send(from, targetId, message);
      return this.#registry.afterClaim(from.room.name, targetId, sendAgain) ??
        this.#sendOrStore(from, targetId, message);
    });
  }

  /** Runs an action that sends this number of bytes, unless too many are under way. */
  async #underWay(bytes: number, action: () => Promise<Outcome>): Promise<Outcome> {
    if (this.#bytesUnderWay + bytes > MAX_BYTES_UNDER_WAY) return "unavailable";
    this.#bytesUnderWay += bytes;
    try {
      return await action();
    } finally {
      this.#bytesUnderWay -= bytes;
    }
  }

  async #sendOrStore(
    from: Session,
    targetId: string,
    { text, storage }: Message,
  ): Promise<Outcome> {
    if (!this.#node.isReady) return "unavailable";
    const room = from.room.name;
    const bytes = Buffer.byteLength(text);
    const id = this.#newMessageId();
    const cost = costOf(from, clientKey(room, targetId), bytes);
    const maxMessages = this.#stored.hasCapacityFor(cost) ? MAILBOX_LIMITS.messagesPerTarget : 0;
    const report = () => this.#report(from, targetId);
    const ttlMs = this.#ttlMsFor(storage);
    const expiresTogether = storage?.expiresTogether ?? false;
    const stored = { id, room, targetId, bytes, cost, ttlMs, expiresTogether, report };
    this.#stored.reserve(stored); // before the reply: its target may have fetched it by then
    const sender = { node: this.#node.id, id: from.id };
    const rule = storage && { storage };
    const message = { kind: "message", room, targetId, text, sender, ...rule } as const;
    const delivery = await this.#run(message, id, bytes, { maxMessages });
    if (delivery === "stored") this.#stored.start(id);
    else this.#stored.delete(id);
    if (delivery === "full") this.#stored.dropTogether(stored);
    return delivery;
  }

  /** Notifies the sender of a message that expired. */
  #report(from: Session, targetId: string): void {
    this.#router.fail(from, undelivered("target_not_found", targetId));
  }

  #ttlMsFor(storage: Storage | undefined): number {
    return Math.min(this.#mailboxTtlMs, storage?.maxTtlMs ?? Infinity);
  }

  #newMessageId(): string {
    return `${this.#node.id}:${++this.#messageCount}`;
  }

  /** @param returnedEpoch the epoch of the target, if this node could not deliver the message; else null */
  async #run(
    message: DirectMessage,
    messageId: string,
    bytes: number,
    {
      maxMessages = MAILBOX_LIMITS.messagesPerTarget as number,
      returnedEpoch = null as number | null,
    },
  ): Promise<Outcome> {
    const { room, targetId, sender, storage } = message;
    // A notice is small, and is stored as long as its client may resume.
    const isNotice = sender === null;
    // Returned messages and notices do not wait until all of this node's clients are confirmed.
    const reply = await this.#node.runEarly(
      "send",
      ...this.#keys.mail(room, targetId),
      room,
      targetId,
      writeMessage(message),
      messageId,
      bytes,
      sender?.node ?? "",
      sender?.id ?? "",
      isNotice && this.#mailboxTtlMs > 0 ? this.#resumeTtlMs : this.#ttlMsFor(storage),
      isNotice ? Number.MAX_SAFE_INTEGER : maxMessages,
      isNotice ? Number.MAX_SAFE_INTEGER : MAILBOX_LIMITS.bytesPerTarget,
      returnedEpoch === null ? "" : this.#node.id,
      returnedEpoch ?? 0,
      this.#node.deadlineMs,
      storage?.expiresTogether ? 1 : 0,
    ).catch(() => "late");
    return reply === "late" ? "unavailable" : reply as Outcome;
  }

  /** Sends a message to all clients of the sender's room on other nodes. */
  async broadcast(from: Session, text: string): Promise<void> {
    const message = writeMessage({ kind: "broadcast", node: this.#node.id, text });
    const delivery = await this.#underWay(Buffer.byteLength(text), async () => {
      const channel = this.#keys.roomChannel(from.room.name);
      const reply = await this.#node.run("broadcast", channel, message, this.#node.deadlineMs)
        .catch(() => "late");
      return reply === "late" ? "unavailable" : "sent";
    });
    if (delivery === "sent") return;
    this.#router.fail(from, {
      kind: "error",
      code: "unavailable",
      message:
        "The broadcast went to the clients of this node alone: the others cannot be reached.",
    });
  }

  /** Notifies a client that may be connected, or resume, on another node. */
  notify(session: Session, notice: Notice): void {
    if (!this.#registry.mayResumeElsewhere(session)) return;
    this.#notifyById(session.room.name, session.id, JSON.stringify(notice));
  }

  #notifyById(room: string, id: string, text: string, returnedEpoch: number | null = null): void {
    const message = { kind: "message", room, targetId: id, text, sender: null } as const;
    this.#run(message, this.#newMessageId(), Buffer.byteLength(text), { returnedEpoch });
  }

  /** Forgets a stored message that its target has fetched. */
  fetched(messageId: string): void {
    this.#stored.delete(messageId);
  }

  /** Takes over a message that its target's node has returned, and that Redis stores. */
  returned(message: ReturnedMessage): void {
    const { messageId: id, room, targetId, senderId, bytes, ttlMs, expiresTogether } = message;
    const report = () => {
      const from = this.#router.find(room, senderId);
      if (from !== undefined) return this.#report(from, targetId);
      this.#notifyById(room, senderId, JSON.stringify(undelivered("target_not_found", targetId)));
    };
    const sender = this.#router.find(room, senderId) ?? { address: "" };
    const cost = costOf(sender, clientKey(room, targetId), bytes);
    this.#stored.add({ id, room, targetId, bytes, cost, ttlMs, expiresTogether, report });
  }

  /** Delivers a message from another node or, if it has a number, from the mailbox. */
  deliver(message: DirectMessage): void {
    const { sender } = message;
    const wasStored = message.number !== undefined;
    const target = this.#router.find(message.room, message.targetId);
    if (sender !== null && target !== undefined) {
      this.#router.flushBefore(message.room, sender.id, target);
    }
    const isDelivered = sender === null
      ? target?.connection?.notify(JSON.parse(message.text))
      : target?.connection?.send(message.text);
    if (target !== undefined && isDelivered) {
      if (wasStored && sender !== null) this.#emit({ kind: "stored_delivered", client: target });
    } else {
      const epoch = target === undefined ? 0 : this.#registry.epochOf(target);
      this.#returnToSender(message, epoch).catch((error) =>
        this.#emit({ kind: "internal_error", where: "forwarder", error })
      );
    }
  }

  /** Stores a message whose target disconnected while it was under way. */
  async #returnToSender(message: DirectMessage, returnedEpoch: number): Promise<void> {
    const { room, targetId, sender, text, storage } = message;
    if (storage?.maxTtlMs === 0) return; // it is dropped without a notice
    if (sender === null) return this.#notifyById(room, targetId, text, returnedEpoch);
    const bytes = Buffer.byteLength(text);
    const delivery = await this.#run(message, this.#newMessageId(), bytes, { returnedEpoch });
    const fail = (code: "mailbox_full" | "target_not_found") =>
      this.#notifyById(room, sender.id, JSON.stringify(undelivered(code, targetId)));
    if (delivery === "full") fail("mailbox_full");
    else if (delivery === "off") fail("target_not_found");
  }

  /** Expires all stored messages: a node that has left cannot notify their senders. */
  async expireStored(): Promise<void> {
    this.#mailboxTtlMs = 0;
    await this.#stored.expireAll();
  }
}
