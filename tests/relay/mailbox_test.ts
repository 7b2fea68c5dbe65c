/** Messages are kept in order, within bounds to the byte, and each is delivered or reported, never both. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Kept,
  Mailbox,
  MAX_BYTES_IN_ALL,
  MAX_BYTES_PER_TARGET,
  MAX_MESSAGES_PER_TARGET,
} from "../../lib/relay/mailbox.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

const TTL_MS = 10_000;

function setUp(ttlMs = TTL_MS) {
  const clock = new FakeClock();
  const expired: string[] = [];
  const mailbox = new Mailbox<string>(clock, ttlMs, ({ sender, targetId, frame }) => {
    expired.push(`${sender} to ${targetId}: ${frame}`);
  });
  const keep = (targetId: string, frame: string, room = "") =>
    mailbox.keep(room, { sender: "alice", targetId, frame });
  return { clock, mailbox, keep, expired };
}

function framesOf(messages: readonly Kept<string>[]): string[] {
  return messages.map(({ frame }) => frame);
}

testPure("take() gives what was kept for one, in order, with its sender, and once", () => {
  const { mailbox, keep } = setUp();
  for (const frame of ["1", "2", "3"]) assert.equal(keep("bob", frame), "kept");
  keep("carol", "for carol");
  const messages = mailbox.take("", "bob");
  assert.deepEqual(framesOf(messages), ["1", "2", "3"]);
  assert.deepEqual([messages[0]?.sender, messages[0]?.targetId], ["alice", "bob"]);
  assert.deepEqual(mailbox.take("", "bob"), []);
  assert.equal(mailbox.size, 1);
});

testPure("take() tells rooms apart, however their names and IDs run together", () => {
  const { mailbox, keep } = setUp();
  keep("b", "room a", "a");
  keep("ab", "no room");
  assert.deepEqual(framesOf(mailbox.take("", "b")), []);
  assert.deepEqual(framesOf(mailbox.take("", "ab")), ["no room"]);
  assert.deepEqual(framesOf(mailbox.take("a", "b")), ["room a"]);
});

testPure("each message expires at its own time, and is reported once", () => {
  const { clock, mailbox, keep, expired } = setUp();
  keep("bob", "1");
  clock.advance(3000);
  keep("bob", "2");
  clock.advance(TTL_MS - 3001);
  assert.deepEqual(expired, []);
  clock.advance(1);
  assert.deepEqual(expired, ["alice to bob: 1"]);
  assert.deepEqual(framesOf(mailbox.take("", "bob")), ["2"]);
  clock.advance(TTL_MS);
  assert.deepEqual([expired.length, mailbox.size, clock.pending], [1, 0, 0]);
});

testPure("with the time 0 nothing is kept", () => {
  const { mailbox, keep } = setUp(0);
  assert.equal(keep("bob", "1"), "off");
  assert.equal(mailbox.size, 0);
});

testPure("for one target 64 messages are kept, and not one more", () => {
  const { clock, mailbox, keep } = setUp();
  for (let n = 0; n < MAX_MESSAGES_PER_TARGET; n++) assert.equal(keep("bob", ""), "kept");
  assert.equal(keep("bob", ""), "full");
  assert.equal(keep("carol", ""), "kept");
  assert.equal(keep("bob", "", "lobby"), "kept");
  assert.equal(mailbox.size, 66);
  assert.equal(mailbox.take("", "bob").length, MAX_MESSAGES_PER_TARGET);
  assert.equal(keep("bob", ""), "kept");
  clock.advance(TTL_MS);
  assert.equal(mailbox.size, 0);
});

testPure("for one target 256 KiB of UTF-8 are kept, and not one byte more", () => {
  for (const character of ["a", "é", "😀"]) {
    const { clock, keep } = setUp();
    const half = character.repeat(
      MAX_BYTES_PER_TARGET / 2 / new TextEncoder().encode(character).length,
    );
    assert.equal(keep("bob", half), "kept");
    assert.equal(keep("bob", `${half}x`), "full");
    assert.equal(keep("bob", half), "kept");
    assert.equal(keep("bob", "x"), "full");
    assert.equal(keep("bob", ""), "kept");
    clock.advance(TTL_MS);
    assert.equal(keep("bob", half), "kept");
  }
});

testPure("what has expired makes room for more", () => {
  const { clock, keep } = setUp();
  const half = "x".repeat(MAX_BYTES_PER_TARGET / 2);
  keep("bob", half);
  clock.advance(TTL_MS / 2);
  keep("bob", half);
  assert.equal(keep("bob", "x"), "full");
  clock.advance(TTL_MS / 2);
  assert.equal(keep("bob", half), "kept");
  assert.equal(keep("bob", "x"), "full");
});

testPure(
  "in all no more than 64 MiB are kept, what a message costs beside its text included",
  () => {
    const { clock, mailbox, keep } = setUp();
    const frame = "x".repeat(MAX_BYTES_PER_TARGET);
    let kept = 0;
    while (keep(`target ${kept}`, frame) === "kept") kept++;
    assert(kept * frame.length <= MAX_BYTES_IN_ALL);
    assert((kept + 2) * frame.length > MAX_BYTES_IN_ALL); // and not much less
    mailbox.take("", "target 0");
    assert.equal(keep("another", frame), "kept");
    assert.equal(keep("one more", frame), "full");
    clock.advance(TTL_MS);
    assert.equal(mailbox.size, 0);
    assert.equal(keep("bob", frame), "kept");
  },
);

testPure("empty messages to a million targets are bounded, too", () => {
  const { mailbox, keep } = setUp();
  let refused = 0;
  for (let n = 0; n < 200_000; n++) if (keep(`target ${n}`, "{}") === "full") refused++;
  assert(refused > 0);
  assert.equal(mailbox.size + refused, 200_000);
});

testPure("every message is delivered or reported or refused, one of them, and in order", () => {
  const step = fc.record({
    action: fc.constantFrom("keep", "keep", "keep", "take"),
    target: fc.constantFrom("a", "b", "c"),
    bytes: fc.constantFrom(0, 100, 50_000, 200_000),
    waitMs: fc.constantFrom(0, 1, 3000, TTL_MS),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { clock, mailbox, keep, expired } = setUp();
      const kept: string[] = [];
      const delivered: string[] = [];
      for (const [n, { action, target, bytes, waitMs }] of steps.entries()) {
        const frame = `${n}`.padStart(bytes, "0");
        if (action === "take") delivered.push(...framesOf(mailbox.take("", target)));
        else if (keep(target, frame) === "kept") kept.push(frame);
        clock.advance(waitMs);
      }
      clock.advance(TTL_MS);
      const reported = expired.map((line) => line.slice(line.indexOf(": ") + 2));
      assert.deepEqual([...delivered, ...reported].map(Number).sort(byNumber), kept.map(Number));
      assert.deepEqual(reported.map(Number), reported.map(Number).sort(byNumber));
      assert.deepEqual([mailbox.size, clock.pending], [0, 0]);
    }),
    { numRuns: 500 },
  );
});

function byNumber(a: number, b: number): number {
  return a - b;
}
