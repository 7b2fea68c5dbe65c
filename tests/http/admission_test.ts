/** A client's address is the connection's own, or what trusted proxies say; a page's origin is one of those allowed. */

import assert from "node:assert/strict";
import { checkOrigin, clientAddress } from "../../lib/http/admission.ts";
import { testPure } from "../helpers/pure.ts";

const PROXY = "10.0.0.7";
const EDGE = "173.245.48.5";
const isProxy = (address: string) => [PROXY, EDGE, "fd00::7"].includes(address);

/** The address of a client, and the entries that were malformed. */
function addressOf(
  headers: Readonly<Record<string, string>>,
  { peer = PROXY, isTrusted = isProxy as typeof isProxy | null } = {},
) {
  const malformed: string[] = [];
  const address = clientAddress(
    peer,
    new Headers(headers),
    isTrusted,
    (entry) => malformed.push(entry),
  );
  return { address, malformed };
}

function forwarded(header: string): string {
  return addressOf({ "x-forwarded-for": header }).address;
}

testPure("clientAddress() is the peer's if no proxy is trusted, or if it says nothing", () => {
  const headers = { "x-forwarded-for": "203.0.113.5", "x-real-ip": "203.0.113.6" };
  assert.equal(addressOf(headers, { isTrusted: null }).address, PROXY);
  assert.equal(addressOf({}).address, PROXY);
});

testPure("clientAddress() does not believe a client that it is a proxy", () => {
  const headers = { "x-forwarded-for": "203.0.113.5", "x-real-ip": "203.0.113.6" };
  assert.equal(addressOf(headers, { peer: "192.0.2.1" }).address, "192.0.2.1");
});

testPure("clientAddress() is the first from the right that is not trusted", () => {
  for (
    const [header, expected] of [
      ["203.0.113.5", "203.0.113.5"],
      [`203.0.113.1, ${EDGE}`, "203.0.113.1"],
      [`198.51.100.9, 203.0.113.1, ${EDGE}, ${PROXY}`, "203.0.113.1"],
      ["127.0.0.1, 203.0.113.5", "203.0.113.5"], // what stands left of it is hearsay
      ["127.0.0.1,, ,203.0.113.5 , ", "203.0.113.5"],
      ["2001:db8::5, fd00::7", "2001:db8::5"],
      ["x, ::ffff:203.0.113.5", "203.0.113.5"],
      ["nonsense, 203.0.113.5", "203.0.113.5"],
    ] as const
  ) {
    assert.equal(forwarded(header), expected, header);
  }
});

testPure("clientAddress() is the leftmost if all of them are trusted", () => {
  assert.equal(forwarded(`fd00::7, ${EDGE}`), "fd00::7");
});

testPure("clientAddress() reads addresses with a port, and in brackets", () => {
  for (
    const [entry, expected] of [
      ["203.0.113.5:50123", "203.0.113.5"],
      ["[2001:db8::5]:50123", "2001:db8::5"],
      ["[2001:db8::5]", "2001:db8::5"],
      [`203.0.113.5:1, ${EDGE}:2`, "203.0.113.5"],
      ["[::ffff:203.0.113.5]:99", "203.0.113.5"],
    ] as const
  ) {
    assert.deepEqual(addressOf({ "x-forwarded-for": entry }), { address: expected, malformed: [] });
    assert.equal(addressOf({ "x-real-ip": entry.split(",")[0]! }).address, expected);
  }
});

testPure("clientAddress() reads X-Real-IP if there is no X-Forwarded-For", () => {
  assert.equal(addressOf({ "x-real-ip": "203.0.113.6" }).address, "203.0.113.6");
  assert.equal(
    addressOf({ "x-real-ip": "203.0.113.6", "x-forwarded-for": "" }).address,
    "203.0.113.6",
  );
  const both = { "x-real-ip": "203.0.113.6", "x-forwarded-for": "203.0.113.5" };
  assert.equal(addressOf(both).address, "203.0.113.5");
});

testPure("clientAddress() falls back to a proxy that wrote no address, and reports it", () => {
  const entries = [
    "unknown",
    "203.0.113.5:",
    "203.0.113.5:x",
    "[203.0.113]",
    "fe80::1%eth0",
    "a\tb",
  ];
  for (const entry of entries) {
    const expected = { address: EDGE, malformed: [entry] };
    assert.deepEqual(addressOf({ "x-forwarded-for": `192.0.2.1, ${entry}, ${EDGE}` }), expected);
  }
  assert.equal(addressOf({ "x-forwarded-for": "x".repeat(60_000) }).malformed[0]!.length, 200);
});

testPure("clientAddress() writes IPv4 in IPv6 as IPv4, and so recognises a proxy by it", () => {
  const address = (peer: string) => addressOf({}, { peer, isTrusted: null }).address;
  assert.equal(address("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(address("::FFFF:192.0.2.1"), "192.0.2.1");
  assert.equal(address("2001:db8::ffff:1"), "2001:db8::ffff:1");
  const headers = { "x-forwarded-for": "203.0.113.5" };
  assert.equal(addressOf(headers, { peer: `::ffff:${PROXY}` }).address, "203.0.113.5");
});

/** Values of --allow-origin, each with origins that it allows and that it does not. */
const ORIGINS: readonly (readonly [allowed: string, yes: string[], no: string[]])[] = [
  ["https://example.org", ["https://example.org"], ["https://a.example.org", "http://example.org"]],
  ["null", ["null"], ["", "NULL", "https://null"]],
  ["capacitor://localhost", ["capacitor://localhost"], [
    "capacitor://localhost:1",
    "ionic://localhost",
  ]],
  [
    "https://*.example.org",
    ["https://a.example.org", "https://a.b-c.example.org", "https://xn--e1a.example.org"],
    [
      "https://example.org",
      "https://.example.org",
      "https://a..example.org",
      "https://aexample.org",
      "https://a.example.org:8443",
      "http://a.example.org",
      "https://a.example.org.evil.example",
      "https://evil.example/.example.org",
      "https://evil.example#.example.org",
      "https://evil.example:1@.example.org",
    ],
  ],
  ["http://*.example.org:8080", ["http://a.example.org:8080"], ["http://a.example.org"]],
];

for (const [allowed, yes, no] of ORIGINS) {
  testPure(`checkOrigin() takes ${allowed} at its word`, () => {
    const check = (origin: string) =>
      checkOrigin(new Headers({ origin }), ["https://other.example", allowed]);
    for (const origin of yes) assert.equal(check(origin), null, origin);
    for (const origin of no) assert.equal(check(origin)?.status, 403, origin);
  });
}

testPure("checkOrigin() names the origin that it refuses, and none that is long", () => {
  const check = (origin: string) => checkOrigin(new Headers({ origin }), ["https://a.example"]);
  assert.equal(check("https://b.example")?.message, "Origin https://b.example is not allowed.");
  assert.ok(check(`https://${"b".repeat(60_000)}`)!.message.length < 300);
});

testPure("checkOrigin() lets in a request without an origin, and all if any may", () => {
  assert.equal(checkOrigin(new Headers(), ["https://a.example"]), null);
  assert.equal(checkOrigin(new Headers({ origin: "https://b.example" }), undefined), null);
});

testPure("clientAddress() reads at most 32 entries", () => {
  let tests = 0;
  const isTrusted = (address: string) => tests++ >= 0 && isProxy(address);
  const header = `203.0.113.5, ${Array(5000).fill(PROXY).join(", ")}`;
  assert.equal(addressOf({ "x-forwarded-for": header }, { isTrusted }).address, PROXY);
  assert.equal(tests, 1 + 32);
  const commas = `203.0.113.5${",".repeat(5000)}`;
  assert.equal(addressOf({ "x-forwarded-for": commas }).address, PROXY);
});
