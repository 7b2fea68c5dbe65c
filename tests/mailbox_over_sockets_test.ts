/** The mailbox over real sockets: kept in order, delivered or reported, within bounds (PROTOCOL.md, section 5). */

import assert from "node:assert/strict";
import { TestClient } from "./helpers/client.ts";
import { startServer } from "./helpers/server.ts";

Deno.test("a shutdown tells senders of the messages that nobody will come for any more", async () => {
  const server = startServer();
  const alice = await TestClient.register(server.url, "alice");
  alice.send({ type: "offer", target_id: "bob" });
  alice.send({ type: "ping", target_id: "alice" });
  assert.equal((await alice.next()).type, "ping");
  const drained = server.server.drain();
  const { code, target_id } = await alice.next();
  assert.deepEqual([code, target_id], ["target_not_found", "bob"]);
  assert.equal((await alice.closed).code, 1012);
  await drained;
});
