/** Answers that come another way than the replies. */

import assert from "node:assert/strict";
import type { AnswerMessage } from "../../lib/cluster/messages.ts";
import { PendingRequests } from "../../lib/cluster/pending_requests.ts";
import { testPure } from "../helpers/pure.ts";

function answerTo(requestId: number): AnswerMessage {
  return { kind: "answer", requestId, status: "ok", epoch: 0, claimedAtMs: 0, ids: [], mail: [] };
}

testPure("PendingRequests hands an answer on at once, before the reply or after it", async () => {
  const requests = new PendingRequests();
  const heard: string[] = [];
  const replied = Promise.withResolvers<null>();
  const listen = (name: string) => (answer: AnswerMessage | null) => {
    heard.push(`${name} ${answer?.requestId}`);
  };
  const first = requests.request(() => replied.promise, listen("first"));
  const second = requests.request(() => Promise.resolve(null), listen("second"));
  requests.resolve(answerTo(1));
  assert.deepEqual(heard, ["first 1"]);
  await first;
  requests.resolve(answerTo(2));
  assert.deepEqual(heard, ["first 1", "second 2"]);
  await second;
  replied.resolve(null);
});

testPure("PendingRequests says null where a requestId came late, or could not be put", async () => {
  for (const put of [() => Promise.resolve("late"), () => Promise.reject(new Error("gone"))]) {
    const requests = new PendingRequests();
    const heard: unknown[] = [];
    await requests.request(put, (answer) => heard.push(answer));
    requests.resolve(answerTo(1));
    assert.deepEqual(heard, [null]);
  }
});

testPure("PendingRequests.expireAll() says null to all who wait", async () => {
  const requests = new PendingRequests();
  const heard: unknown[] = [];
  const asked = [1, 2].map(() =>
    requests.request(() => new Promise(() => {}), (answer) => heard.push(answer))
  );
  requests.rejectAll();
  await Promise.all(asked);
  assert.deepEqual(heard, [null, null]);
});

testPure("PendingRequests.request() rejects with what the listener throws", async () => {
  const requests = new PendingRequests();
  const asked = requests.request(() => Promise.resolve(null), () => {
    throw new Error("no");
  });
  requests.resolve(answerTo(1));
  await assert.rejects(asked, /^Error: no$/);
});

testPure("PendingRequests ignores an answer to what was not asked", () => {
  new PendingRequests().resolve(answerTo(1));
});
