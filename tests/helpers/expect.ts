/** Assertions of tests over real sockets. */

import assert from "node:assert/strict";
import { type Message, TestClient } from "./client.ts";

/**
 * Asserts that nothing has come to a client since the last message that was awaited. When it resolves, the server has
 * handled all that the client has sent.
 */
export async function assertNothing(client: TestClient, clientId: string): Promise<void> {
  client.send({ type: "last", target_id: clientId });
  assert.deepEqual(await client.next(), { from: clientId, type: "last" });
}

/** Registers, and is refused: the code of the error, which is the reason of the close, and the code of the close. */
export async function refusal(
  url: string,
  clientId: string,
  more: Message = {},
): Promise<readonly [unknown, number]> {
  const client = await TestClient.connect(url);
  client.send({ type: "register", client_id: clientId, ...more });
  const { type, code } = await client.next();
  const closed = await client.closed;
  assert.deepEqual([type, closed.reason], ["error", code]);
  return [code, closed.code];
}
