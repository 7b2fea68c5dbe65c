/** Messages between nodes: sent, kept, delivered, given back. */

import { Buffer } from "node:buffer";
import type { Clock } from "../clock.ts";
import type { Events } from "../events.ts";
import { MAX_BYTES_IN_ALL, MAX_BYTES_PER_TARGET, MAX_MESSAGES_PER_TARGET } from "../mailbox.ts";
import { errorFrame, mailboxFull, targetNotFound } from "../protocol.ts";
import type { Client, Delivery, Router, RouterOptions } from "../router.ts";
import { KeptMessages } from "./kept.ts";
import { mailKeys, roomChannel } from "./keys.ts";
import { type DirectMessage, writeMessage } from "./messages.ts";
import type { Node } from "./node.ts";
import type { Registry } from "./registry.ts";

/** So many bytes may be on their way to Redis; more would only wait in this node's memory. */
const MAX_BYTES_UNDER_WAY = MAX_BYTES_IN_ALL;

export class Post {
  readonly #options: RouterOptions;
  readonly #events: Events;
  readonly #router: Router;
  readonly #node: Node;
  readonly #registry: Registry;
  readonly #kept: KeptMessages;
  #messageCount = 0;
  #bytesUnderWay = 0;

  constructor(
    options: RouterOptions,
    events: Events,
    router: Router,
    node: Node,
    registry: Registry,
    clock: Clock,
  ) {
    this.#options = options;
    this.#events = events;
    this.#router = router;
    this.#node = node;
    this.#registry = registry;
    this.#kept = new KeptMessages(clock, options.mailboxTtlMs, ({ room, targetId, id, bytes }) => {
      const [, mail, size] = mailKeys(room, targetId);
      return this.#node.run("expire", mail, size, id, bytes);
    });
  }

  /** How many messages Redis keeps on behalf of this node, or may do so in a moment. */
  get kept(): number {
    return this.#kept.size;
  }

  /** Sends a client's frame to one that is not connected here. */
  send(from: Client, targetId: string, frame: string): Promise<Delivery> {
    return this.#underWay(Buffer.byteLength(frame), async () => {
      const room = from.room.name;
      const claimed = this.#registry.claimed(room, targetId);
      if (claimed !== null) {
        await claimed;
        return await this.#router.send(from, targetId, frame);
      }
      const message = { kind: "message", room, targetId, frame, senderId: from.id } as const;
      return await this.#sendOrKeep(message, () => {
        this.#events.failed("target_not_found", from);
        this.#router.tell(from, errorFrame("target_not_found", targetNotFound(targetId), targetId));
      });
    });
  }

  /** Does something with so many bytes, unless too many are under way. */
  async #underWay(bytes: number, action: () => Promise<Delivery>): Promise<Delivery> {
    if (this.#bytesUnderWay + bytes > MAX_BYTES_UNDER_WAY) return "unavailable";
    this.#bytesUnderWay += bytes;
    try {
      return await action();
    } finally {
      this.#bytesUnderWay -= bytes;
    }
  }

  /**
   * @param report tells the sender, should nobody come for what is kept
   * @param returnedClaim where it has come here and could not be delivered: the number of its target's claim
   */
  async #sendOrKeep(
    message: DirectMessage,
    report: () => void,
    returnedClaim: number | null = null,
  ): Promise<Delivery> {
    const { room, targetId, frame } = message;
    const bytes = Buffer.byteLength(frame);
    const id = this.#newMessageId();
    const maxMessages = this.#kept.hasRoomFor(bytes) ? MAX_MESSAGES_PER_TARGET : 0;
    // Before the reply: somebody may have fetched it by then.
    this.#kept.add({ id, room, targetId, bytes, report });
    const delivery = await this.#run(message, id, bytes, maxMessages, returnedClaim);
    if (delivery !== "kept") this.#kept.delete(id);
    return delivery;
  }

  #newMessageId(): string {
    return `${this.#node.id}:${++this.#messageCount}`;
  }

  async #run(
    message: DirectMessage,
    messageId: string,
    bytes: number,
    maxMessages: number,
    returnedClaim: number | null,
  ): Promise<Delivery> {
    const { room, targetId, senderId } = message;
    const reply = await this.#node.run(
      "send",
      ...mailKeys(room, targetId),
      targetId,
      writeMessage(message),
      messageId,
      bytes,
      senderId === null ? "" : this.#node.id,
      this.#options.mailboxTtlMs,
      maxMessages,
      MAX_BYTES_PER_TARGET,
      senderId === null ? 1 : 0,
      returnedClaim === null ? "" : this.#node.id,
      returnedClaim ?? 0,
      this.#node.notAfterMs,
    ).catch(() => "late");
    return reply === "late" ? "unavailable" : reply as Delivery;
  }

  /** Sends a frame to all clients of the sender's room on other nodes. */
  async broadcast(from: Client, frame: string): Promise<void> {
    const text = writeMessage({ kind: "broadcast", node: this.#node.id, frame });
    const delivery = await this.#underWay(Buffer.byteLength(frame), async () => {
      const channel = roomChannel(from.room.name);
      const reply = await this.#node.run("broadcast", channel, text, this.#node.notAfterMs)
        .catch(() => "late");
      return reply === "late" ? "unavailable" : "sent";
    });
    if (delivery === "sent") return;
    this.#events.failed("unavailable", from);
    const message =
      "The broadcast went to the clients of this node alone: the others cannot be reached.";
    this.#router.tell(from, errorFrame("unavailable", message));
  }

  /** Tells a client something that is not connected here, if it may be, or come to be, elsewhere. */
  tell(client: Client, frame: string): void {
    if (this.#registry.mayBeElsewhere(client)) this.#tellById(client.room.name, client.id, frame);
  }

  #tellById(room: string, id: string, frame: string, returnedClaim: number | null = null): void {
    const message = { kind: "message", room, targetId: id, frame, senderId: null } as const;
    const bytes = Buffer.byteLength(frame);
    this.#run(message, this.#newMessageId(), bytes, MAX_MESSAGES_PER_TARGET, returnedClaim);
  }

  /** Somebody has come for a message that was kept. */
  fetched(messageId: string): void {
    this.#kept.delete(messageId);
  }

  /** A message has come from another node, or from the mailbox. */
  deliver(message: DirectMessage, wasKept = false): void {
    const target = this.#router.find(message.room, message.targetId);
    if (target?.link?.send(message.frame)) {
      if (wasKept && message.senderId !== null) this.#events.keptDelivered(target);
      return;
    }
    const claim = target === undefined ? 0 : this.#registry.claimOf(target);
    this.#giveBack(message, claim).catch((error) => this.#events.crashed("post", error));
  }

  /** The target has gone while the message was under way: it is kept as if it had not been sent yet. */
  async #giveBack(message: DirectMessage, claim: number): Promise<void> {
    const { room, targetId, senderId, frame } = message;
    if (senderId === null) return this.#tellById(room, targetId, frame, claim);
    const fail = (code: "mailbox_full" | "target_not_found", reason: string) =>
      this.#tellById(room, senderId, errorFrame(code, reason, targetId));
    const report = () => fail("target_not_found", targetNotFound(targetId));
    const delivery = await this.#sendOrKeep(message, report, claim);
    if (delivery === "full") fail("mailbox_full", mailboxFull(targetId));
    else if (delivery === "off") report();
  }
}
