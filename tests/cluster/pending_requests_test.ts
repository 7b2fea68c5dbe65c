/** Answers to requests, which do not come with the replies. */

import assert from "node:assert/strict";
import { Disconnected } from "../../lib/cluster/disconnected.ts";
import type { AnswerMessage } from "../../lib/cluster/messages.ts";
import { PendingRequests } from "../../lib/cluster/pending_requests.ts";
import { testPure } from "../helpers/pure.ts";

function answerTo(requestId: number): AnswerMessage {
  const rest = { epoch: 0, claimedAtMs: 0, hasMoved: false, members: [], cursor: "0" };
  return { kind: "answer", requestId, status: "ok", ...rest };
}

testPure("request() passes the answer on at once, before the reply or after it", async () => {
  const requests = new PendingRequests();
  const answers: string[] = [];
  const replied = Promise.withResolvers<null>();
  const listen = (name: string) => (answer: AnswerMessage | null) => {
    answers.push(`${name} ${answer?.requestId}`);
  };
  const first = requests.request(() => replied.promise, listen("first"));
  const second = requests.request(() => Promise.resolve(null), listen("second"));
  requests.resolve(answerTo(1));
  assert.deepEqual(answers, ["first 1"]);
  await first;
  requests.resolve(answerTo(2));
  assert.deepEqual(answers, ["first 1", "second 2"]);
  await second;
  replied.resolve(null);
});

testPure("request() passes null if the request was late or could not be sent", async () => {
  for (
    const send of [
      () => Promise.resolve("late"),
      () => Promise.reject(new Disconnected("not connected")),
    ]
  ) {
    const requests = new PendingRequests();
    const answers: unknown[] = [];
    await requests.request(send, (answer) => answers.push(answer));
    requests.resolve(answerTo(1));
    assert.deepEqual(answers, [null]);
  }
});

testPure("rejectAll() passes null to all listeners", async () => {
  const requests = new PendingRequests();
  const answers: unknown[] = [];
  const requested = [1, 2].map(() =>
    requests.request(() => new Promise(() => {}), (answer) => answers.push(answer))
  );
  requests.rejectAll();
  await Promise.all(requested);
  assert.deepEqual(answers, [null, null]);
});

testPure("request() rejects with what the listener throws", async () => {
  const requests = new PendingRequests();
  const requested = requests.request(() => Promise.resolve(null), () => {
    throw new Error("no");
  });
  requests.resolve(answerTo(1));
  await assert.rejects(requested, /^Error: no$/);
});

testPure("resolve() ignores an answer to an unknown request", () => {
  new PendingRequests().resolve(answerTo(1));
});
