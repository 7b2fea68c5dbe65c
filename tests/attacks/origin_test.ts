/** --allow-origin: which pages may connect. */

import assert from "node:assert/strict";
import { answerToUpgrade } from "../helpers/raw_peer.ts";
import { startServer } from "../helpers/server.ts";

const ALLOWED = "https://example.org,http://localhost:3000";

/** Values of Origin, and the status of each response. */
const ORIGINS = [
  ["https://example.org", 101],
  ["http://localhost:3000", 101],
  ["https://example.org:8443", 403],
  ["http://example.org", 403],
  ["https://example.org.evil.example", 403],
  ["https://evil.example/https://example.org", 403],
  ["https://example.org, https://evil.example", 403],
  ["HTTPS://EXAMPLE.ORG", 403], // browsers write it in small letters
  ["null", 403], // a sandboxed frame, a local file
  ["", 403],
] as const;

for (const [origin, status] of ORIGINS) {
  Deno.test(`--allow-origin answers ${JSON.stringify(origin)} with ${status}`, async () => {
    await using server = startServer({ allowOrigins: ALLOWED });
    const head = await answerToUpgrade(server.url, { origin });
    assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
  });
}

Deno.test("--allow-origin admits clients that are no browsers; without it every origin may connect", async () => {
  await using strict = startServer({ allowOrigins: ALLOWED });
  assert.match(await answerToUpgrade(strict.url), /^HTTP\/1\.1 101 /);
  await using open = startServer();
  const head = await answerToUpgrade(open.url, { origin: "https://evil.example" });
  assert.match(head, /^HTTP\/1\.1 101 /);
});
