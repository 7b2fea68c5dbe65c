/** Answers that come another way than the replies. */

import assert from "node:assert/strict";
import type { AnswerMessage } from "../../lib/cluster/messages.ts";
import { Questions } from "../../lib/cluster/questions.ts";
import { testPure } from "../helpers/pure.ts";

function answerTo(question: number): AnswerMessage {
  return { kind: "answer", question, status: "ok", claim: 0, claimedAtMs: 0, ids: [], mail: [] };
}

testPure("Questions hands an answer on at once, before the reply or after it", async () => {
  const questions = new Questions();
  const heard: string[] = [];
  const replied = Promise.withResolvers<null>();
  const listen = (name: string) => (answer: AnswerMessage | null) => {
    heard.push(`${name} ${answer?.question}`);
  };
  const first = questions.ask(() => replied.promise, listen("first"));
  const second = questions.ask(() => Promise.resolve(null), listen("second"));
  questions.answer(answerTo(1));
  assert.deepEqual(heard, ["first 1"]);
  await first;
  questions.answer(answerTo(2));
  assert.deepEqual(heard, ["first 1", "second 2"]);
  await second;
  replied.resolve(null);
});

testPure("Questions says null where a question came late, or could not be put", async () => {
  for (const put of [() => Promise.resolve("late"), () => Promise.reject(new Error("gone"))]) {
    const questions = new Questions();
    const heard: unknown[] = [];
    await questions.ask(put, (answer) => heard.push(answer));
    questions.answer(answerTo(1));
    assert.deepEqual(heard, [null]);
  }
});

testPure("Questions.giveUp() says null to all who wait", async () => {
  const questions = new Questions();
  const heard: unknown[] = [];
  const asked = [1, 2].map(() =>
    questions.ask(() => new Promise(() => {}), (answer) => heard.push(answer))
  );
  questions.giveUp();
  await Promise.all(asked);
  assert.deepEqual(heard, [null, null]);
});

testPure("Questions.ask() rejects with what the listener throws", async () => {
  const questions = new Questions();
  const asked = questions.ask(() => Promise.resolve(null), () => {
    throw new Error("no");
  });
  questions.answer(answerTo(1));
  await assert.rejects(asked, /^Error: no$/);
});

testPure("Questions ignores an answer to what was not asked", () => {
  new Questions().answer(answerTo(1));
});
