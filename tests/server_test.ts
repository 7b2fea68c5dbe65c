/** The core protocol, end to end over real sockets in one process. */

import assert from "node:assert/strict";
import { TestClient } from "./helpers/client.ts";
import { startServer } from "./helpers/server.ts";

Deno.test("a client registers and is answered with two members and no others", async () => {
  await using server = startServer();
  const alice = await TestClient.connect(server.url);
  alice.send({ type: "register", client_id: "alice" });
  assert.equal(await alice.nextText(), '{"type":"registered","client_id":"alice"}');
});
