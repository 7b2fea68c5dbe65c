/** Upgrades that are broken in one way or another, against the real program. */

import assert from "node:assert/strict";
import { ServingProgram } from "../helpers/program.ts";
import { RawPeer, UPGRADE_HEADERS, upgradeRequest } from "../helpers/raw_peer.ts";
import { BROKEN_HANDSHAKES } from "./handshakes.ts";

Deno.test("a broken handshake is refused, and is no internal error", async (t) => {
  await using program = await ServingProgram.start(["--log-level", "warn"]);
  for (const { what, bytes, status } of BROKEN_HANDSHAKES) {
    await t.step(what, async () => {
      using peer = await RawPeer.connect(program.url);
      await peer.write(bytes).catch(() => {}); // refused in the middle of it
      const head = await peer.readHead().catch(() => "");
      const [, answered = ""] = /^HTTP\/1\.1 (.+)\r\n/.exec(head) ?? [];
      assert(answered.startsWith(status) && (answered === "") === (status === ""), answered);
    });
  }
  program.signal("SIGTERM");
  assert.deepEqual(await program.ended(), { status: 0, stdout: "", stderr: "" });
});

/** Unusual, but nothing is wrong with them. */
const GOOD_HANDSHAKES = [
  ["names in capitals", upgradeRequest(inCapitals(UPGRADE_HEADERS))],
  [
    "lists",
    upgradeRequest({
      ...UPGRADE_HEADERS,
      connection: "keep-alive,\tUpgrade ",
      upgrade: "h2c, WebSocket",
    }),
  ],
  ["a path and a query", upgradeRequest(UPGRADE_HEADERS, "GET /any/path?with=query HTTP/1.1")],
  [
    "a subprotocol and an extension",
    upgradeRequest({
      ...UPGRADE_HEADERS,
      "sec-websocket-protocol": "one, two",
      "sec-websocket-extensions": "permessage-deflate; client_max_window_bits",
    }),
  ],
] as const;

function inCapitals(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]),
  );
}

Deno.test("an unusual handshake is as good as any", async (t) => {
  await using program = await ServingProgram.start();
  for (const [what, request] of GOOD_HANDSHAKES) {
    await t.step(what, async () => {
      using peer = await RawPeer.connect(program.url);
      await peer.write(request);
      assert.match(await peer.readHead(), /^HTTP\/1\.1 101 /);
      await peer.sendText('{"type":"register","client_id":"a"}');
      const answer = await peer.readFrame();
      assert.equal(
        new TextDecoder().decode(answer?.payload),
        '{"type":"registered","client_id":"a"}',
      );
    });
  }
});
