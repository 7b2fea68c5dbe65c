/** Executes the commands of registered clients. */

import type { Emit } from "../events.ts";
import {
  broadcastFactor,
  REGISTER_COST,
  SUBSCRIBERS_PER_TOKEN,
  TOPICS_PER_TOKEN,
} from "./rate_limit.ts";
import type { Registrar } from "./registration.ts";
import type { Router } from "./router.ts";
import type { Session } from "./session.ts";
import type { Command } from "./vocabulary.ts";

interface CommandDeps {
  readonly router: Router;
  readonly registrar: Registrar;
  readonly emit: Emit;
}

/**
 * Returns the cost of a command, in tokens. Commands that cause several messages, or a long notice, cost more.
 *
 * @param sizeCost the cost of the message by its size
 */
export function costOfCommand(
  command: Command,
  session: Session,
  sizeCost: number,
  router: Router,
): number {
  switch (command.kind) {
    case "broadcast":
      return sizeCost * broadcastFactor(router.recipients(session));
    case "register":
      return Math.max(REGISTER_COST, broadcastFactor(router.recipients(session)));
    case "publish": {
      const subscribers = router.topics.count(router.topics.keyOf(session, command.topic));
      return sizeCost * broadcastFactor(subscribers, SUBSCRIBERS_PER_TOKEN);
    }
    case "subscribe":
    case "unsubscribe":
      return Math.max(sizeCost, Math.ceil(command.topics.length / TOPICS_PER_TOKEN));
    default:
      return sizeCost;
  }
}

/** @throws {ProtocolError} if the command cannot be executed */
export function execute(
  command: Command,
  session: Session,
  receivedAtMs: number,
  { router, registrar, emit }: CommandDeps,
): void {
  switch (command.kind) {
    case "register":
      return registrar.registerAgain(session, command.registration);
    case "send": {
      const { targetId, type, bytes, text, storage } = command;
      const message = { type, bytes, text, storage, receivedAtMs };
      if (!router.deliver(session, targetId, text)) {
        return router.directory.forward(session, targetId, message);
      }
      return emit({ kind: "sent", from: session, targetId, message });
    }
    case "broadcast": {
      const { type, bytes, text } = command;
      const message = { type, bytes, text, receivedAtMs };
      const recipients = router.broadcast(session, message);
      return emit({ kind: "broadcast", from: session, recipients, message });
    }
    case "publish": {
      const { topic, type, bytes, textFor } = command;
      if (!isAllowed(session, topic)) return;
      const key = router.topics.keyOf(session, topic);
      const recipients = router.publish(key, textFor(router.topics.count(key)));
      const message = { type, bytes, receivedAtMs };
      return emit({ kind: "broadcast", from: session, recipients, message });
    }
    case "subscribe":
    case "unsubscribe":
      for (const topic of command.topics) {
        if (isAllowed(session, topic)) router.topics[command.kind](session, topic);
      }
      return;
    case "reply":
      return void session.connection?.send(command.text);
    case "ignore":
      return;
  }
}

function isAllowed({ topics }: Session, topic: string): boolean {
  return topics === null || topics.includes(topic);
}
