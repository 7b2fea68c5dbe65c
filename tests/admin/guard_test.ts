/** Requests that the guard refuses. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { guard, type GuardOptions } from "../../lib/admin/guard.ts";

const OPEN: GuardOptions = { hostname: "127.0.0.1", password: undefined };
const LOCKED: GuardOptions = { hostname: "0.0.0.0", password: "sésame:ouvre" };

function status(options: GuardOptions, url: string, init: RequestInit = {}): number {
  return guard(new Request(url, init), new URL(url), options)?.status ?? 200;
}

function basic(credentials: string): RequestInit {
  return { headers: { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` } };
}

Deno.test("guard() serves addresses, localhost and the configured name", () => {
  for (const host of ["127.0.0.1:8766", "localhost:8766", "LOCALHOST", "[::1]:8766", "10.1.2.3"]) {
    assert.equal(status(OPEN, `http://${host}/`), 200, host);
  }
  const named = { hostname: "Admin.Internal", password: undefined };
  assert.equal(status(named, "http://admin.internal:8766/"), 200);
});

Deno.test("guard() refuses other names: they may have been rebound to this address", () => {
  const names = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a.localhost"];
  for (const name of names) {
    for (const path of ["/", "/metrics", "/api/clients"]) {
      assert.equal(status(OPEN, `http://${name}:8766${path}`), 421, name);
    }
  }
});

Deno.test("guard() wants the password, with any user's name, under any name of the host", () => {
  const url = "http://admin.example:8766/metrics";
  assert.equal(status(LOCKED, url, basic("anybody:sésame:ouvre")), 200);
  assert.equal(status(LOCKED, url, basic(":sésame:ouvre")), 200);
});

Deno.test("guard() refuses a wrong password and malformed credentials", () => {
  const url = "http://127.0.0.1:8766/";
  assert.equal(status(LOCKED, url), 401);
  const wrong = ["admin:sesame:ouvre", "admin:", "admin", "sésame:ouvre", "admin:sésame:ouvre "];
  for (const credentials of wrong) assert.equal(status(LOCKED, url, basic(credentials)), 401);
  for (const authorization of ["Basic", "Basic !!", "Bearer sésame", "Basic YTpi, Basic YTpi"]) {
    const headers = new Headers([["authorization", encodeURI(authorization)]]);
    assert.equal(status(LOCKED, url, { headers }), 401, authorization);
  }
  const refusal = guard(new Request(url), new URL(url), LOCKED);
  assert.match(refusal!.headers.get("www-authenticate")!, /^Basic realm=/);
});

Deno.test("guard() lets nothing be changed without the header, or by a page of another origin", () => {
  const url = "http://127.0.0.1:8766/api/clients/bob";
  const header = { "x-signalbox-admin": "1" };
  const change = (headers: Record<string, string>) =>
    status(OPEN, url, { method: "DELETE", headers });
  assert.equal(change(header), 200);
  assert.equal(change({ ...header, origin: "http://127.0.0.1:8766" }), 200);
  assert.equal(change({}), 403);
  assert.equal(change({ origin: "http://127.0.0.1:8766" }), 403);
  assert.equal(change({ ...header, origin: "http://evil.example" }), 403);
  assert.equal(change({ ...header, origin: "http://127.0.0.1:9999" }), 403);
  assert.equal(change({ ...header, origin: "null" }), 403);
  for (const method of ["POST", "PUT", "PATCH", "OPTIONS"]) {
    assert.equal(status(OPEN, url, { method }), 403, method);
  }
});
