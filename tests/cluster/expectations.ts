/** Expectations that the tests of a cluster share. */

import assert from "node:assert/strict";
import { within as withinOf } from "../../lib/clock.ts";
import { type Message, TestClient } from "../helpers/client.ts";

/** Time within which the clients of a killed node count as disconnected. */
export const DISCONNECTED_WITHIN_MS = 15_000;

/** Reads the messages that a client has received: all before its own message to itself. */
export async function messagesUntilNow(client: TestClient): Promise<Message[]> {
  const mark = crypto.randomUUID();
  client.send({ mark, target_id: client.registered.client_id });
  const messages: Message[] = [];
  for (let message = await client.next(); message.mark !== mark; message = await client.next()) {
    messages.push(message);
  }
  return messages;
}

/** @throws {Error} at the timeout */
export function within<Value>(ms: number, what: Promise<Value>): Promise<Value> {
  return withinOf(ms, what, new Error(`not within ${ms} ms`));
}

/** Checks that messages get from one client to the other, both ways. */
export async function assertConnected(one: TestClient, other: TestClient): Promise<void> {
  for (const [from, to] of [[one, other], [other, one]] as const) {
    const mark = crypto.randomUUID();
    from.send({ mark, target_id: to.registered.client_id });
    assert.deepEqual(await to.next(), { mark, from: from.registered.client_id });
  }
}

export function peer(type: "joined" | "left", id: string): Message {
  return { type: `peer_${type}`, client_id: id };
}

export async function closeAll(...clients: readonly TestClient[]): Promise<void> {
  await Promise.all(clients.map((client) => client.close(1000)));
}
