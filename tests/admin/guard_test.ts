/** Requests that the guard refuses. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { FakeClock } from "../helpers/clock.ts";
import { Guard, type GuardOptions } from "../../lib/admin/guard.ts";

const OPEN: GuardOptions = { hostname: "127.0.0.1", password: undefined };
const LOCKED: GuardOptions = { hostname: "0.0.0.0", password: "sésame:ouvre" };

async function status(options: GuardOptions, url: string, init: RequestInit = {}): Promise<number> {
  const clock = new FakeClock();
  const guard = new Guard(options, clock, () => {});
  const refusal = guard.check(new Request(url, init), new URL(url), "127.0.0.1");
  clock.advance(500);
  return (await refusal)?.status ?? 200;
}

function basic(credentials: string): RequestInit {
  return { headers: { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` } };
}

Deno.test("Guard serves addresses, localhost and the configured name", async () => {
  for (const host of ["127.0.0.1:8766", "localhost:8766", "LOCALHOST", "[::1]:8766", "10.1.2.3"]) {
    assert.equal(await status(OPEN, `http://${host}/`), 200, host);
  }
  const named = { hostname: "Admin.Internal", password: undefined };
  assert.equal(await status(named, "http://admin.internal:8766/"), 200);
});

Deno.test("Guard refuses other names: they may have been rebound to this address", async () => {
  const names = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a.localhost"];
  for (const name of names) {
    for (const path of ["/", "/metrics", "/api/clients"]) {
      assert.equal(await status(OPEN, `http://${name}:8766${path}`), 421, name);
    }
  }
});

Deno.test("Guard wants the password, with any user's name, under any name of the host", async () => {
  const url = "http://admin.example:8766/metrics";
  assert.equal(await status(LOCKED, url, basic("anybody:sésame:ouvre")), 200);
  assert.equal(await status(LOCKED, url, basic(":sésame:ouvre")), 200);
});

Deno.test("Guard refuses a wrong password and malformed credentials", async () => {
  const url = "http://127.0.0.1:8766/";
  assert.equal(await status(LOCKED, url), 401);
  const wrong = ["admin:sesame:ouvre", "admin:", "admin", "sésame:ouvre", "admin:sésame:ouvre "];
  for (const credentials of wrong) assert.equal(await status(LOCKED, url, basic(credentials)), 401);
  for (const authorization of ["Basic", "Basic !!", "Bearer sésame", "Basic YTpi, Basic YTpi"]) {
    const headers = new Headers([["authorization", encodeURI(authorization)]]);
    assert.equal(await status(LOCKED, url, { headers }), 401, authorization);
  }
  const guard = new Guard(LOCKED, new FakeClock(), () => {});
  const refusal = await guard.check(new Request(url), new URL(url), "127.0.0.1");
  assert.match(refusal!.headers.get("www-authenticate")!, /^Basic realm=/);
});

Deno.test("Guard lets a client that is no browser change things, and the listener's own page", async () => {
  const url = "http://127.0.0.1:8766/api/clients/bob";
  const change = (headers: Record<string, string>, method = "DELETE") =>
    status(OPEN, url, { method, headers });
  assert.equal(await change({}), 200);
  assert.equal(await change({ origin: "http://127.0.0.1:8766" }), 200);
  for (
    const origin of [
      "http://evil.example",
      "http://127.0.0.1:9999",
      "null",
    ]
  ) {
    assert.equal(await change({ origin }), 403, origin);
    assert.equal(await change({ origin }, "POST"), 403, origin);
    assert.equal(await change({ origin }, "GET"), 200, origin);
  }
});

Deno.test("a wrong password waits half a second, no more than ten at a time, and none waits for them", async () => {
  const clock = new FakeClock();
  const warnings: string[] = [];
  const guard = new Guard(LOCKED, clock, (event) => {
    if (event.kind === "warning") warnings.push(event.message);
  });
  const url = "http://127.0.0.1:8766/";
  const ask = async (init: RequestInit) =>
    (await guard.check(new Request(url, init), new URL(url), "192.0.2.7"))?.status ?? 200;
  const answered: number[] = [];
  const guesses = Array.from({ length: 10 }, async () => {
    answered.push(await ask(basic("admin:wrong")));
  });
  assert.equal(await ask(basic("admin:wrong")), 429);
  assert.equal(await ask(basic("admin:sésame:ouvre")), 200);
  assert.equal(await ask({}), 401); // a browser asks first without one
  clock.advance(499);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(answered, []);
  clock.advance(1);
  await Promise.all(guesses);
  assert.deepEqual(answered, Array(10).fill(401));
  assert.deepEqual(warnings, ["Wrong admin password from 192.0.2.7."]);
  clock.advance(500);
  const later = ask(basic("admin:wrong"));
  clock.advance(500);
  assert.equal(await later, 401);
  assert.equal(warnings.length, 2);
});
