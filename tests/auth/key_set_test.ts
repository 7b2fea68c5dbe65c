/** A key set over HTTP: keys are added and withdrawn, and the host is down, slow or broken. */

import assert from "node:assert/strict";
import { KeyHost, newKey, type SigningKey, signWith } from "../helpers/key_host.ts";
import { bytesOf, encode, HS256, refuses, SECRET, sign, withKeys } from "../helpers/tokens.ts";

/** A host with one key that an authenticator has fetched. */
async function withKnownKey(host: KeyHost, known: SigningKey) {
  const test = await withKeys(host);
  await test.authenticator.check(await signWith(known));
  assert.equal(host.fetches, 1);
  return test;
}

Deno.test("a key set fetches an unknown key, at the latest a second after the last fetch", async () => {
  const [older, newer] = [await newKey("ES256", "older"), await newKey("ES256", "newer")];
  await using host = new KeyHost([older]);
  const { authenticator, clock } = await withKnownKey(host, older);
  host.keys = [newer.publicJwk];
  const grant = authenticator.check(await signWith(newer, { sub: "alice" }));
  await clock.armed();
  clock.advance(1000);
  assert.equal((await grant).clientId, "alice");
  assert.equal(host.fetches, 2);
  await refuses(authenticator, await signWith({ ...newer, kid: "newer" }, { exp: 1 }), /expired/);
  const withdrawn = refuses(authenticator, await signWith(older), /not known/);
  await clock.armed();
  clock.advance(1000);
  await withdrawn;
});

Deno.test("a key set fetches once a second at the most, however many unknown keys are named", async () => {
  const [known, unknown] = [await newKey("ES256", "known"), await newKey("ES256", "unknown")];
  await using host = new KeyHost([known]);
  const { authenticator, clock } = await withKnownKey(host, known);
  for (const fetches of [2, 3]) {
    const tokens = await Promise.all(
      Array.from({ length: 100 }, (_, i) => signWith({ ...unknown, kid: `${i}` })),
    );
    const refused = Promise.all(tokens.map((token) => refuses(authenticator, token, /not known/)));
    await clock.armed();
    clock.advance(999);
    await authenticator.check(await signWith(known));
    assert.equal(host.fetches, fetches - 1);
    clock.advance(1);
    await refused;
    assert.equal(host.fetches, fetches);
  }
});

Deno.test("a key set fetches nothing for a token that no key could verify", async () => {
  const key = await newKey("ES256", "k");
  await using host = new KeyHost([key]);
  const { authenticator } = await withKnownKey(host, key);
  await refuses(authenticator, "x.y.z");
  await refuses(authenticator, await sign({}, bytesOf(SECRET), { ...HS256, kid: "new" }));
  await refuses(authenticator, `${encode({ alg: "none", kid: "new" })}.${encode({})}.`);
  assert.equal(host.fetches, 1);
});

Deno.test("a key set fetches old keys again, and uses them meanwhile", async () => {
  const key = await newKey("ES256", "k");
  await using host = new KeyHost([key]);
  const { authenticator, clock, failures } = await withKnownKey(host, key);
  const asked = host.asked();
  const release = host.hold();
  clock.advance(600_000);
  await authenticator.check(await signWith(key));
  await asked;
  await authenticator.check(await signWith(key));
  const sharesTheFetch = refuses(authenticator, await signWith({ ...key, kid: "new" }));
  host.keys = [];
  release();
  await sharesTheFetch;
  assert.equal(host.fetches, 2);
  const withdrawn = refuses(authenticator, await signWith(key), /not known/);
  await clock.armed();
  clock.advance(1000);
  await withdrawn;
  assert.deepEqual(failures, []);
});

Deno.test("a key set goes on with the keys that it has while their host is down", async () => {
  const key = await newKey("ES256", "k");
  const host = new KeyHost([key]);
  const { authenticator, clock, failures, hasFailed } = await withKnownKey(host, key);
  await host[Symbol.asyncDispose]();
  clock.advance(600_000);
  await authenticator.check(await signWith(key));
  await hasFailed;
  clock.advance(1000);
  const unknown = await signWith({ ...key, kid: "new" });
  await refuses(authenticator, unknown, /could not be fetched/);
  await authenticator.check(await signWith(key));
  assert.equal(failures.length, 2);
});

Deno.test("a key set recovers if its host was down at the start", async () => {
  const key = await newKey("ES256", "k");
  const down = new KeyHost([key]);
  await down[Symbol.asyncDispose]();
  const { authenticator, clock, failures, hasFailed } = await withKeys(down);
  await hasFailed;
  clock.advance(1000);
  const token = await signWith(key, { sub: "alice" });
  await refuses(authenticator, token, /could not be fetched/);
  assert.equal(failures.length, 2);
  await using _up = new KeyHost([key], down.port);
  clock.advance(1000);
  assert.equal((await authenticator.check(token)).clientId, "alice");
});

/** Time that a host has to answer in a test of one that does not, in milliseconds. */
const SHORT_TIMEOUT_MS = 1000;

Deno.test("a key set stops waiting for a host that does not answer, and known keys serve meanwhile", async () => {
  const [known, unknown] = [await newKey("ES256", "known"), await newKey("ES256", "unknown")];
  await using host = new KeyHost([known]);
  const { authenticator, clock, failures } = await withKeys(host, SECRET, SHORT_TIMEOUT_MS);
  await authenticator.check(await signWith(known));
  const release = host.hold();
  clock.advance(1000);
  const asked = host.asked();
  const refused = refuses(authenticator, await signWith(unknown), /could not be fetched/);
  await asked;
  await authenticator.check(await signWith(known));
  await authenticator.check(await sign({}));
  assert.deepEqual(failures, []);
  await refused;
  assert.deepEqual(failures, ["no answer within 1000 ms"]);
  release();
  host.keys.push(unknown.publicJwk);
  clock.advance(1000);
  await authenticator.check(await signWith(unknown));
});

Deno.test("a key set stops waiting for a host that starts to answer and does not end", async () => {
  const key = await newKey("ES256", "k");
  await using host = new KeyHost([key]);
  host.answer = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          controller.enqueue(bytesOf('{"keys":['));
          return new Promise(() => {});
        },
      }),
    );
  const { authenticator, failures } = await withKeys(host, undefined, SHORT_TIMEOUT_MS);
  await refuses(authenticator, await signWith(key), /could not be fetched/);
  assert.deepEqual(failures, ["no answer within 1000 ms"]);
});

Deno.test("a key set survives a host that answers nonsense, and recovers", async () => {
  const key = await newKey("ES256", "k");
  const token = await signWith(key);
  const answers = [
    () => new Response("oops", { status: 500 }),
    () => new Response("<html>"),
    () => new Response(""),
    () => Response.json(null),
    () => Response.json([key.publicJwk]),
    () => Response.json({ keys: key.publicJwk }),
    () => Response.json({ keys: ["nonsense"] }),
    () => new Response(null, { status: 204 }),
  ];
  await using host = new KeyHost([key]);
  host.answer = answers[0]!;
  const { authenticator, clock, failures } = await withKeys(host);
  for (const [index, answer] of answers.entries()) {
    host.answer = answer;
    clock.advance(1000);
    await refuses(authenticator, token, /could not be fetched/);
    assert.equal(failures.length, index + 1);
  }
  host.answer = () => host.giveKeys();
  clock.advance(1000);
  await authenticator.check(token);
});

Deno.test("a key set with one malformed key goes on with the others", async () => {
  const key = await newKey("ES256", "k");
  await using host = new KeyHost([key]);
  host.keys.unshift({ kty: "EC", kid: "broken", crv: "P-256", x: "AA", y: "AA" });
  const { authenticator } = await withKeys(host);
  await refuses(authenticator, await signWith({ ...key, kid: "broken" }), /malformed/);
  await authenticator.check(await signWith(key));
});
