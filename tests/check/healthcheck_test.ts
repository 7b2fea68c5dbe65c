/** The health check distinguishes signalbox from other programs, and prints nothing raw. */

import assert from "node:assert/strict";
import { checkHealth } from "../../lib/check/healthcheck.ts";

const HEALTH = '{"status":"ok","clients":0,"version":"1.2.3","uptime_seconds":1}';

/** Returns what checkHealth() returns for a server that answers so, or the message of its error. */
async function checked(body: string, status = 200): Promise<string> {
  const answer = () => new Response(body, { status });
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  const url = new URL(`http://user:secret@127.0.0.1:${server.addr.port}`);
  return await checkHealth(url).catch(({ message }) => message);
}

Deno.test("checkHealth() returns what a healthy server answers", async () => {
  assert.equal(await checked(HEALTH), HEALTH);
});

Deno.test("checkHealth() rejects an answer of another program", async () => {
  for (const body of ["hi", "<!DOCTYPE html>", "null", "{}"]) {
    assert.match(await checked(body), /is not healthy: another program answers, with status 200/);
  }
});

Deno.test("checkHealth() quotes an answer in one line, and hides the password", async () => {
  const message = await checked("\x1b[2Jevil\nmore", 403);
  assert.match(message, /with status 403: .*evil/);
  assert.doesNotMatch(message, /\p{C}|secret/u);
});
