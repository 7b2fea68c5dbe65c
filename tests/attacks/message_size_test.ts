/** --max-message-size, to the byte. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { OPCODE } from "../helpers/frames.ts";
import { RawPeer } from "../helpers/raw_peer.ts";
import { startServer } from "../helpers/server.ts";

const LIMIT_BYTES = 1000;

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A message to `alice` of exactly this many bytes, as far as possible out of one character. */
function messageOf(bytes: number, character: string): string {
  const message = (text: string) => `{"target_id":"alice","text":"${text}"}`;
  const room = bytes - bytesOf(message(""));
  const count = Math.floor(room / bytesOf(character));
  const padding = ".".repeat(room - count * bytesOf(character));
  return message(character.repeat(count) + padding);
}

for (const character of ["x", "é", "漢", "😀"]) {
  Deno.test(`a message of ${character} may have as many bytes in UTF-8 as the limit says`, async () => {
    await using server = startServer({ maxMessageSizeBytes: `${LIMIT_BYTES}` });
    const alice = await TestClient.register(server.url, "alice");
    const largest = messageOf(LIMIT_BYTES, character);
    const tooLarge = messageOf(LIMIT_BYTES + 1, character);
    assert.deepEqual([bytesOf(largest), bytesOf(tooLarge)], [1000, 1001]);

    alice.send(largest);
    const { text } = JSON.parse(largest);
    assert.deepEqual(await alice.next(), { from: "alice", text });

    alice.send(tooLarge);
    const { code, target_id } = await alice.next();
    assert.deepEqual([code, target_id], ["message_too_large", "alice"]);
    const closed = await alice.closed;
    assert.deepEqual([closed.code, closed.reason], [1009, "message_too_large"]);
  });
}

Deno.test("the fragments of a message count together", async () => {
  await using server = startServer({ maxMessageSizeBytes: `${LIMIT_BYTES}` });
  using alice = await RawPeer.register(server.url, "alice");
  for (const bytes of [LIMIT_BYTES, LIMIT_BYTES + 1]) {
    const message = messageOf(bytes, "é");
    const middle = message.indexOf("éé") + 1;
    await alice.send({ fin: false, payload: message.slice(0, middle) });
    await alice.send({ opcode: OPCODE.PING, payload: "in between" });
    await alice.send({ opcode: OPCODE.CONTINUATION, payload: message.slice(middle) });
  }
  assert.equal((await alice.readFrame())?.opcode, OPCODE.PONG);
  assert.equal((await alice.readFrame())?.opcode, OPCODE.TEXT);
  assert.deepEqual(await alice.readClose(), { code: 1009, reason: "message_too_large" });
});

Deno.test("a first message that is too large is refused likewise", async () => {
  await using server = startServer({ maxMessageSizeBytes: `${LIMIT_BYTES}` });
  const stranger = await TestClient.connect(server.url);
  stranger.send({ type: "register", client_id: "alice", padding: "x".repeat(LIMIT_BYTES) });
  assert.equal((await stranger.next()).code, "message_too_large");
  assert.equal((await stranger.closed).code, 1009);
});
