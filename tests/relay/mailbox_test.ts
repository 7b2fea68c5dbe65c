/** The mailbox stores messages in order and within bounds, and each is delivered or expires, never both. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Mailbox, MAILBOX_LIMITS, type StoredMessage } from "../../lib/relay/mailbox.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

const TTL_MS = 10_000;
const { messagesPerPair, messagesPerTarget, bytesPerTarget, bytesInAll, bytesPerAddress } =
  MAILBOX_LIMITS;

interface Sender {
  readonly name: string;
  readonly address: string;
}

function setUp() {
  const clock = new FakeClock();
  const expired: string[] = [];
  const mailbox = new Mailbox<Sender>(clock, TTL_MS, ({ sender, targetId, text }) => {
    expired.push(`${sender.name} to ${targetId}: ${text}`);
  });
  const alice = senderAt("192.0.2.1", "alice");
  const store = (targetId: string, text: string, sender: Sender = alice, room = "") =>
    mailbox.store(room, { sender, targetId, text });
  return { clock, mailbox, store, expired, alice };
}

function senderAt(address: string, name = "sender"): Sender {
  return { name, address };
}

/** Returns a sender, with an address of its own for each number. */
function strangers(): (n: number) => Sender {
  return (n) => senderAt(`192.0.2.${n}`, `${n}`);
}

function textsOf(messages: readonly StoredMessage<Sender>[]): string[] {
  return messages.map(({ text }) => text);
}

testPure("take() returns the messages of a client once, in order and with their senders", () => {
  const { mailbox, store, alice } = setUp();
  for (const text of ["1", "2", "3"]) assert(store("bob", text));
  store("carol", "for carol");
  const messages = mailbox.take("", "bob");
  assert.deepEqual(textsOf(messages), ["1", "2", "3"]);
  assert.deepEqual([messages[0]?.sender, messages[0]?.targetId], [alice, "bob"]);
  assert.deepEqual(mailbox.take("", "bob"), []);
  assert.equal(mailbox.size, 1);
});

testPure("take() distinguishes rooms whose names and IDs are alike when joined", () => {
  const { mailbox, store, alice } = setUp();
  store("b", "room a", alice, "a");
  store("ab", "no room");
  assert.deepEqual(textsOf(mailbox.take("", "b")), []);
  assert.deepEqual(textsOf(mailbox.take("", "ab")), ["no room"]);
  assert.deepEqual(textsOf(mailbox.take("a", "b")), ["room a"]);
});

testPure("each message expires at its own time, once", () => {
  const { clock, mailbox, store, expired } = setUp();
  store("bob", "1");
  clock.advance(3000);
  store("bob", "2");
  clock.advance(TTL_MS - 3001);
  assert.deepEqual(expired, []);
  clock.advance(1);
  assert.deepEqual(expired, ["alice to bob: 1"]);
  assert.deepEqual(textsOf(mailbox.take("", "bob")), ["2"]);
  clock.advance(TTL_MS);
  assert.deepEqual([expired.length, mailbox.size, clock.pending], [1, 0, 0]);
});

testPure("expireAll() expires all messages, clear() forgets them", () => {
  const { clock, mailbox, store, expired } = setUp();
  store("bob", "1");
  store("carol", "2");
  mailbox.expireAll();
  assert.deepEqual(expired, ["alice to bob: 1", "alice to carol: 2"]);
  store("bob", "3");
  mailbox.clear();
  clock.advance(TTL_MS);
  assert.deepEqual([expired.length, mailbox.size, clock.pending], [2, 0, 0]);
});

testPure("one sender may have 64 messages stored for one target", () => {
  const { clock, mailbox, store, alice } = setUp();
  for (let n = 0; n < messagesPerPair; n++) assert(store("bob", ""));
  assert(!store("bob", ""));
  assert(store("carol", ""));
  assert(store("bob", "", alice, "lobby"));
  assert(store("bob", "", senderAt("192.0.2.1"))); // another sender of the same address
  assert.equal(mailbox.take("", "bob").length, messagesPerPair + 1);
  assert(store("bob", ""));
  clock.advance(TTL_MS);
  assert.equal(mailbox.size, 0);
  for (let n = 0; n < messagesPerPair; n++) assert(store("bob", ""));
  assert(!store("bob", ""));
});

testPure("512 messages of all senders are stored for one target", () => {
  const { store, mailbox } = setUp();
  const senders = Array.from({ length: 9 }, (_, n) => senderAt("192.0.2.1", `${n}`));
  const results = senders.flatMap((sender) =>
    Array.from({ length: messagesPerPair }, () => store("bob", "", sender))
  );
  assert.equal(results.filter((isStored) => isStored).length, messagesPerTarget);
  assert(store("carol", "", senders[8]));
  assert.equal(mailbox.take("", "bob").length, messagesPerTarget);
});

testPure("1 MiB of UTF-8 is stored for one target, and no byte more", () => {
  for (const character of ["a", "é", "😀"]) {
    const { clock, store } = setUp();
    const half = character.repeat(bytesPerTarget / 2 / new TextEncoder().encode(character).length);
    assert(store("bob", half));
    assert(!store("bob", `${half}x`));
    assert(store("bob", half));
    assert(!store("bob", "x"));
    assert(store("bob", ""));
    clock.advance(TTL_MS);
    assert(store("bob", half));
  }
});

testPure("expired messages make capacity for others", () => {
  const { clock, store } = setUp();
  const half = "x".repeat(bytesPerTarget / 2);
  store("bob", half);
  clock.advance(TTL_MS / 2);
  store("bob", half);
  assert(!store("bob", "x"));
  clock.advance(TTL_MS / 2);
  assert(store("bob", half));
  assert(!store("bob", "x"));
});

testPure("clients of one address may have 4 MiB stored, overhead included", () => {
  for (
    const [first, second, stranger] of [
      ["192.0.2.1", "192.0.2.1", "192.0.2.2"],
      ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"],
    ] as const
  ) {
    const { mailbox, store } = setUp();
    const text = "x".repeat(bytesPerTarget / 4);
    let stored = 0;
    const storeNext = () => store(`target ${stored}`, text, senderAt(stored % 2 ? first : second));
    while (storeNext()) stored++;
    assert(stored * text.length <= bytesPerAddress);
    assert((stored + 2) * text.length > bytesPerAddress); // and not much less
    assert(store("a target", text, senderAt(stranger)));
    mailbox.take("", "target 0");
    assert(storeNext());
    assert(!store("one more", text, senderAt(first)));
  }
});

testPure("at most 64 MiB are stored in all, overhead included", () => {
  const { clock, mailbox, store } = setUp();
  const sender = strangers();
  const text = "x".repeat(bytesPerTarget);
  let stored = 0;
  while (store(`target ${stored}`, text, sender(stored))) stored++;
  assert(stored * text.length <= bytesInAll);
  assert((stored + 2) * text.length > bytesInAll); // and not much less
  mailbox.take("", "target 0");
  assert(store("another", text, sender(254)));
  assert(!store("one more", text, sender(255)));
  clock.advance(TTL_MS);
  assert.equal(mailbox.size, 0);
  assert(store("bob", text, sender(255)));
});

testPure("empty messages to many targets are bounded", () => {
  const { mailbox, store } = setUp();
  const sender = strangers();
  let refused = 0;
  for (let n = 0; n < 200_000; n++) if (!store(`target ${n}`, "{}", sender(n % 20))) refused++;
  assert(refused > 0);
  assert.equal(mailbox.size + refused, 200_000);
});

testPure("every message is either delivered, expired or refused, in order", () => {
  const step = fc.record({
    action: fc.constantFrom("store", "store", "store", "take"),
    target: fc.constantFrom("a", "b", "c"),
    bytes: fc.constantFrom(0, 100, 50_000, 800_000),
    waitMs: fc.constantFrom(0, 1, 3000, TTL_MS),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { clock, mailbox, store, expired } = setUp();
      const stored: string[] = [];
      const delivered: string[] = [];
      for (const [n, { action, target, bytes, waitMs }] of steps.entries()) {
        const text = `${n}`.padStart(bytes, "0");
        if (action === "take") delivered.push(...textsOf(mailbox.take("", target)));
        else if (store(target, text)) stored.push(text);
        clock.advance(waitMs);
      }
      clock.advance(TTL_MS);
      const reported = expired.map((line) => line.slice(line.indexOf(": ") + 2));
      assert.deepEqual([...delivered, ...reported].map(Number).sort(byNumber), stored.map(Number));
      assert.deepEqual(reported.map(Number), reported.map(Number).sort(byNumber));
      assert.deepEqual([mailbox.size, clock.pending], [0, 0]);
    }),
    { numRuns: 500 },
  );
});

function byNumber(a: number, b: number): number {
  return a - b;
}
