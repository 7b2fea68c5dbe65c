/** An upgrade is refused before it begins, with the status that says why. */

import assert from "node:assert/strict";
import { bearerToken, checkHandshake, readHandshake, refuse } from "../../lib/http/handshake.ts";
import { testPure } from "../helpers/pure.ts";

/** The headers of RFC 6455 section 1.2, changed; undefined takes one out. */
function headers(changes: Readonly<Record<string, string | undefined>> = {}): Headers {
  const all = {
    upgrade: "websocket",
    connection: "Upgrade",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
    ...changes,
  };
  const present = Object.entries(all).filter(([, value]) => value !== undefined);
  return new Headers(present as [string, string][]);
}

/** Reads a request that has a key or `Upgrade: websocket`, and checks it. */
function check(...given: Parameters<typeof readHandshake>) {
  return checkHandshake(readHandshake(...given)!);
}

testPure("readHandshake() looks for websocket in Upgrade, in whatever case", () => {
  const read = (upgrade?: string) =>
    readHandshake("GET", headers({ upgrade, "sec-websocket-key": undefined }));
  for (const upgrade of ["websocket", "WebSocket", "h2c, WEBSOCKET", " websocket "]) {
    assert.notEqual(read(upgrade), null);
  }
  for (const upgrade of [undefined, "", "h2c", "websockets", "web socket"]) {
    assert.equal(read(upgrade), null);
  }
});

testPure("checkHandshake() answers 426 if a proxy has dropped Upgrade, and says so", () => {
  for (const upgrade of [undefined, "", "h2c", "websockets", "web socket"]) {
    for (const connection of ["close", "Upgrade", undefined]) {
      const dropped = headers({ upgrade, connection });
      const refusal = check("GET", dropped);
      assert.equal(refusal?.status, 426);
      assert.match(refusal!.message, /^The header Upgrade: websocket is missing\. If a proxy /);
    }
  }
});

testPure("readHandshake() reads the first subprotocol that is offered", () => {
  const offered = (text?: string) =>
    readHandshake("GET", headers({ "sec-websocket-protocol": text }))?.protocol;
  assert.equal(offered("json"), "json");
  assert.equal(offered("a,b"), "a");
  assert.equal(offered(" graphql-ws , b"), "graphql-ws");
  for (const none of [undefined, "", " ", ",", ",b", "a b", "a\u00e9", 'a"', "a/b"]) {
    assert.equal(offered(none), null, none);
  }
});

testPure("checkHandshake() lets a good handshake through", () => {
  for (const connection of ["Upgrade", "upgrade", "keep-alive, Upgrade", "UPGRADE,keep-alive"]) {
    assert.equal(check("GET", headers({ connection })), null);
  }
});

const NO_KEYS = [
  undefined,
  "",
  "dGhlIHNhbXBsZSBub25jZQ",
  "dGhlIHNhbXBsZSBub25jZQ=",
  "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
  "dGhlIHNhbXBsZSBub25jZSE=",
  "dGhlIHNhbXBsZSBub25j!!==",
];

testPure("checkHandshake() refuses a broken one with 400", () => {
  for (const method of ["POST", "HEAD", "PUT", "OPTIONS"]) {
    assert.equal(check(method, headers())?.status, 400);
  }
  for (const connection of [undefined, "keep-alive", "close", "upgraded"]) {
    assert.equal(check("GET", headers({ connection }))?.status, 400);
  }
  for (const key of NO_KEYS) {
    assert.equal(check("GET", headers({ "sec-websocket-key": key }))?.status, 400);
  }
});

testPure("checkHandshake() refuses another version than 13 with 426", () => {
  for (const version of [undefined, "", "8", "12", "14", "013", "13, 8"]) {
    const refusal = check("GET", headers({ "sec-websocket-version": version }));
    assert.equal(refusal?.status, 426);
    const given = version === undefined ? "it is missing" : `not ${JSON.stringify(version)}`;
    assert.equal(refusal.message, `Sec-WebSocket-Version must be 13: ${given}.`);
  }
});

testPure("refuse() says why, and to 426 which version it speaks (RFC 6455, 4.4)", async () => {
  const answer = refuse({ status: 426, message: "Too old." });
  assert.equal(answer.status, 426);
  assert.equal(answer.headers.get("sec-websocket-version"), "13");
  assert.equal(answer.headers.get("upgrade"), "websocket");
  assert.equal(await answer.text(), "Too old.\n");
});

testPure("refuse() says with 503, and with it alone, when to try again", () => {
  for (const status of [400, 403, 426, 429, 503] as const) {
    const answer = refuse({ status, message: "No." });
    assert.equal(answer.headers.has("retry-after"), status === 503);
    assert.equal(answer.headers.get("content-type"), "text/plain; charset=utf-8");
  }
  const delay = refuse({ status: 503, message: "No." }).headers.get("retry-after");
  assert(Number(delay) > 0);
});

testPure("bearerToken() finds the token of a header or of the address", () => {
  const url = "http://localhost/any/path?a=1&token=from%20url";
  const withHeader = new Headers({ authorization: "bearer  from.header " });
  assert.equal(bearerToken(withHeader, "http://localhost/"), "from.header");
  assert.equal(bearerToken(withHeader, url), "from.header");
  assert.equal(bearerToken(new Headers(), url), "from url");
  assert.equal(bearerToken(new Headers({ authorization: "Basic abc" }), url), "from url");
});

testPure("bearerToken() is null if there is none", () => {
  for (const authorization of ["", "Bearer", "Bearer ", "Bearer a b", "Basic abc", "XBearer a"]) {
    assert.equal(bearerToken(new Headers({ authorization }), "http://localhost/?t=1"), null);
  }
  assert.equal(bearerToken(new Headers(), "*"), null);
});
