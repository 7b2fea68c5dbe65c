/** What tests of a cluster expect of its clients. */

import assert from "node:assert/strict";
import { type Frame, TestClient } from "../helpers/client.ts";

/** So soon clients are gone whose node has died without a word. */
export const GONE_WITHIN_MS = 15_000;

/** What a client has got until now: all that comes before its own message to itself. */
export async function framesUntilNow(client: TestClient): Promise<Frame[]> {
  const mark = crypto.randomUUID();
  client.send({ mark, target_id: client.registered.client_id });
  const frames: Frame[] = [];
  for (let frame = await client.next(); frame.mark !== mark; frame = await client.next()) {
    frames.push(frame);
  }
  return frames;
}

/** @throws {Error} where it has not come in time */
export async function within<Value>(ms: number, what: Promise<Value>): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not within ${ms} ms`)), ms);
  try {
    return await Promise.race([what, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** That a message gets from one client to another, both ways. */
export async function assertConnected(one: TestClient, other: TestClient): Promise<void> {
  for (const [from, to] of [[one, other], [other, one]] as const) {
    const mark = crypto.randomUUID();
    from.send({ mark, target_id: to.registered.client_id });
    assert.deepEqual(await to.next(), { mark, from: from.registered.client_id });
  }
}

export function peer(type: "joined" | "left", id: string): Frame {
  return { type: `peer_${type}`, client_id: id };
}

export async function closeAll(...clients: readonly TestClient[]): Promise<void> {
  await Promise.all(clients.map((client) => client.close(1000)));
}
