/** A node that shuts down under a flood: what clients of the other node send to its clients arrives once, and in order. */

import assert from "node:assert/strict";
import { type Message, TestClient } from "../helpers/client.ts";
import { untilStatus } from "../helpers/health.ts";
import { isRedisMissing, TestRedis } from "../helpers/redis.ts";
import { Random } from "../helpers/random.ts";
import { within } from "./expectations.ts";
import { startNode } from "./nodes.ts";

const TARGETS = 60;
/** Messages for each target, fewer than the mailbox stores of one sender. */
const ROUNDS = 26;
/** Round after which the targets' node gets SIGTERM. */
const SIGTERM_AFTER = 5;
const ROUND_MS = 20;
/** The longest time that a target takes to come back, in milliseconds. */
const LONGEST_ABSENCE_MS = 600;
/** Time limit for all messages to arrive, in milliseconds. */
const ARRIVED_WITHIN_MS = 30_000;

/** Resumes at another node once its own has closed the connection, and reads what comes until the last message. */
async function receive(
  id: string,
  fromUrl: string,
  toUrl: string,
  absenceMs: number,
): Promise<{ ready: Promise<void>; received: Promise<unknown[]> }> {
  const first = await TestClient.register(fromUrl, id, { resume: true });
  const resumed = Promise.withResolvers<void>();
  const read = async () => {
    await first.closed;
    const numbers = (await unread(first)).map(({ n }) => n);
    await pause(absenceMs);
    const second = await TestClient.register(toUrl, id, { resume: first.registered.resume });
    assert.equal(second.registered.resumed, true, id);
    resumed.resolve();
    for (let message = await second.next(); message.last !== true; message = await second.next()) {
      numbers.push(message.n);
    }
    await second.close(1000);
    return numbers;
  };
  return { ready: resumed.promise, received: read() };
}

/** Reads the messages that a connection got before its end. */
async function unread(client: TestClient): Promise<Message[]> {
  const messages: Message[] = [];
  while (client.unread > 0) messages.push(await client.next());
  return messages;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

Deno.test({
  name: "a node that shuts down under a flood loses nothing that its clients resume for elsewhere",
  ignore: isRedisMissing(),
  async fn() {
    await using redis = await TestRedis.start();
    await using a = await startNode(redis.url, []);
    await using b = await startNode(redis.url, []);
    await Promise.all([a, b].map(({ httpUrl }) => untilStatus(httpUrl, "ok")));
    const random = new Random(18);
    const ids = Array.from({ length: TARGETS }, (_, n) => `target ${n}`);
    const targets = await Promise.all(
      ids.map((id) => receive(id, b.url, a.url, random.integer(0, LONGEST_ABSENCE_MS))),
    );
    const sender = await TestClient.register(a.url, "sender");
    for (let n = 0; n < ROUNDS; n++) {
      if (n === SIGTERM_AFTER) b.signal("SIGTERM");
      for (const target_id of ids) sender.send({ target_id, n });
      await pause(ROUND_MS);
    }
    await Promise.all(targets.map(({ ready }) => ready));
    for (const target_id of ids) sender.send({ target_id, last: true });
    const received = await within(
      ARRIVED_WITHIN_MS,
      Promise.all(targets.map(({ received }) => received)),
    );
    const sent = Array.from({ length: ROUNDS }, (_, n) => n);
    for (const [n, numbers] of received.entries()) assert.deepEqual(numbers, sent, ids[n]);
    assert.deepEqual(await unread(sender), []);
    await sender.close(1000);
  },
});
