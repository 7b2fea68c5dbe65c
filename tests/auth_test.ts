import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { exportSPKI, importJWK, type JWTHeaderParameters, SignJWT } from "jose";
import { allows, type Authenticator, createAuthenticator, signToken } from "../lib/auth.ts";
import { FakeClock } from "./helpers/clock.ts";
import { type Claims, KeyHost, newKey, type SigningKey, signWith } from "./helpers/key_host.ts";

const SECRET = "a secret of at least thirty-two bytes";

const nowSeconds = () => Math.floor(Date.now() / 1000);
const bytesOf = (text: string) => new TextEncoder().encode(text);
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token signed with a shared secret. */
function sign(claims: Claims, key = bytesOf(SECRET), header: JWTHeaderParameters = HS256) {
  return new SignJWT(claims).setProtectedHeader(header).sign(key);
}
const HS256 = { alg: "HS256" };

const withSecret = () => createAuthenticator(SECRET, undefined);

/** An authenticator for the keys of `host`, and for `secret`, where that is given. */
async function withKeys(host: KeyHost, secret?: string) {
  const clock = new FakeClock();
  const failures: string[] = [];
  const failed = Promise.withResolvers<void>();
  const onFailed = ({ message }: Error) => {
    failures.push(message);
    failed.resolve();
  };
  const authenticator = await createAuthenticator(secret, { url: host.url, clock, onFailed });
  return { authenticator, clock, failures, hasFailed: failed.promise };
}

async function refuses(authenticator: Authenticator, token: string | null, message = /./) {
  await assert.rejects(authenticator.check(token), { code: "unauthorized", message });
}

Deno.test("signToken() makes a token that the secret's authenticator accepts", async () => {
  const authenticator = await withSecret();
  const request = { secret: SECRET, clientId: "alice", ttlMs: 60_000 };
  assert.deepEqual(await authenticator.check(await signToken({ ...request, room: undefined })), {
    clientId: "alice",
    rooms: null,
  });
  assert.deepEqual(await authenticator.check(await signToken({ ...request, room: "lobby" })), {
    clientId: "alice",
    rooms: ["lobby"],
  });
});

Deno.test("signToken() makes a token that ends when its time is up", async () => {
  const token = await signToken({ secret: SECRET, clientId: "a", room: undefined, ttlMs: 1500 });
  const { iat, exp } = JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString());
  assert.equal(exp - iat, 2);
});

Deno.test("check() takes a token without claims for one that allows everything", async () => {
  const grant = await (await withSecret()).check(await sign({}));
  assert.deepEqual(grant, { clientId: null, rooms: null });
});

Deno.test("check() refuses to do without a token", async () => {
  await refuses(await withSecret(), null, /^A token is needed/);
});

Deno.test("check() reads exp and nbf, and forgives clocks that differ by a few seconds", async () => {
  const authenticator = await withSecret();
  await refuses(authenticator, await sign({ exp: nowSeconds() - 10 }), /expired/);
  await refuses(authenticator, await sign({ nbf: nowSeconds() + 60 }), /nbf/);
  await authenticator.check(await sign({ exp: nowSeconds() - 2 }));
  await authenticator.check(await sign({ nbf: nowSeconds() + 4 }));
  for (const value of [null, "soon", [], {}, true]) {
    await refuses(authenticator, await sign({ exp: value }), /exp/);
    await refuses(authenticator, await sign({ nbf: value }), /nbf/);
  }
});

Deno.test("check() refuses a sub that is not a string", async () => {
  const authenticator = await withSecret();
  for (const sub of [null, 1, true, ["alice"], { id: "alice" }]) {
    await refuses(authenticator, await sign({ sub }), /sub must be a string/);
  }
  assert.equal((await authenticator.check(await sign({ sub: "" }))).clientId, "");
});

Deno.test("check() refuses a room that is neither a string nor an array of strings", async () => {
  const authenticator = await withSecret();
  for (const room of [null, 1, false, {}, [1], ["a", null], [["a"]]]) {
    await refuses(authenticator, await sign({ room }), /room must be/);
  }
  for (const [room, rooms] of [["a", ["a"]], [["a", "b"], ["a", "b"]], [[], []], ["", [""]]]) {
    assert.deepEqual((await authenticator.check(await sign({ room }))).rooms, rooms);
  }
});

Deno.test("allows() compares the ID and the room with the grant", () => {
  const anything = { clientId: null, rooms: null };
  assert.ok(allows(anything, "alice", ""));
  assert.ok(allows(anything, "alice", "lobby"));
  const alice = { clientId: "alice", rooms: null };
  assert.ok(allows(alice, "alice", "lobby"));
  assert.ok(!allows(alice, "bob", ""));
  assert.ok(!allows(alice, "Alice", ""));
  assert.ok(!allows({ clientId: "", rooms: null }, "alice", ""));
  const rooms = { clientId: null, rooms: ["lobby", "attic"] };
  assert.ok(allows(rooms, "alice", "attic"));
  assert.ok(!allows(rooms, "alice", "cellar"));
  assert.ok(!allows(rooms, "alice", ""));
  assert.ok(!allows({ clientId: null, rooms: [] }, "alice", ""));
  assert.ok(!allows({ clientId: null, rooms: [""] }, "alice", ""), "the default room has no name");
  assert.ok(!allows({ clientId: "alice", rooms: ["lobby"] }, "bob", "lobby"));
});

Deno.test("check() refuses a token that nobody signed", async () => {
  const authenticator = await withSecret();
  for (const alg of ["none", "None", "NONE", "", undefined, null, 0]) {
    const unsigned = `${encode({ alg })}.${encode({ sub: "alice" })}`;
    await refuses(authenticator, `${unsigned}.`);
    await refuses(authenticator, `${unsigned}.${encode("signature")}`);
  }
});

Deno.test("check() refuses a token with a wrong signature", async () => {
  const authenticator = await withSecret();
  const [header, payload, signature] = (await sign({ sub: "alice" })).split(".");
  await refuses(authenticator, await sign({ sub: "alice" }, bytesOf(`${SECRET}.`)), /badly signed/);
  await refuses(authenticator, `${header}.${encode({ sub: "bob" })}.${signature}`, /badly signed/);
  await refuses(authenticator, `${header}.${payload}.${signature!.slice(0, -4)}`, /badly signed/);
  await refuses(authenticator, `${header}.${payload}.`, /badly signed/);
});

Deno.test("check() refuses other algorithms than HS256 with the secret", async () => {
  const authenticator = await withSecret();
  for (const alg of ["HS384", "HS512"]) {
    const key = bytesOf(SECRET.repeat(2));
    await refuses(authenticator, await sign({}, key, { alg }), /algorithm/);
  }
  const stranger = await newKey("ES256", "k");
  await refuses(authenticator, await signWith(stranger), /algorithm/);
});

Deno.test("check() refuses what is no token at all, and says so", async () => {
  const [header, payload, signature] = (await sign({})).split(".");
  const key = bytesOf(SECRET);
  const tokens = [
    ...["", ".", "..", "....", "a", "a.b.c", "\0", "🙂.🙂.🙂", "null", "{}"],
    "x".repeat(64 * 1024),
    ".".repeat(64 * 1024),
    `${header}.${payload}`,
    `${header}.${payload}.${signature}.`,
    `${header}.${payload}.${signature}.x.y`,
    `${encode([])}.${payload}.${signature}`,
    `${encode("HS256")}.${payload}.${signature}`,
    await sign({}, key, { ...HS256, crit: ["exp"], exp: 1 }).catch(() => "x"),
    ...["[]", '"text"', "1", "null", "{"].map((text) => `${header}.${Buffer.from(text)}.x`),
  ];
  const authenticator = await withSecret();
  for (const token of tokens) await refuses(authenticator, token, /malformed|algorithm/);
});

const KEY_SET_ALGORITHMS = ["RS256", "ES256", "EdDSA", "Ed25519"];

Deno.test("check() accepts the key set's algorithms, and no others", async () => {
  const keys = await Promise.all(KEY_SET_ALGORITHMS.map((alg) => newKey(alg, alg)));
  const others = await Promise.all(
    ["RS384", "PS256", "ES384"].map((alg) => newKey(alg, alg)),
  );
  await using host = new KeyHost([...keys, ...others]);
  const { authenticator } = await withKeys(host);
  for (const key of keys) {
    const grant = await authenticator.check(await signWith(key, { sub: key.alg, room: "r" }));
    assert.deepEqual(grant, { clientId: key.alg, rooms: ["r"] });
    await refuses(authenticator, await signWith(key, { exp: 1 }), /expired/);
  }
  for (const key of others) await refuses(authenticator, await signWith(key), /algorithm/);
});

Deno.test("check() never takes a public key, or what a token brings along, for a secret", async () => {
  const key = await newKey("RS256", "k");
  const stranger = await newKey("RS256", "k");
  const publicKey = await importJWK(key.publicJwk) as CryptoKey;
  await using host = new KeyHost([key]);
  // A key set should have no secret in it; one that has does not make HS256 acceptable.
  host.keys.push({ kty: "oct", kid: "oct", k: Buffer.from(SECRET).toString("base64url") });
  const forged = [
    await sign({}, bytesOf(await exportSPKI(publicKey)), { ...HS256, kid: "k" }),
    await sign({}, bytesOf(JSON.stringify(key.publicJwk)), { ...HS256, kid: "k" }),
    await sign({}, Buffer.from(key.publicJwk.n!, "base64url"), { ...HS256, kid: "k" }),
    await sign({}, bytesOf("x".repeat(32)), { ...HS256, kid: "oct" }),
    await signWith(stranger),
    await new SignJWT({}).setProtectedHeader({
      alg: "RS256",
      jwk: stranger.publicJwk,
      jku: "http://127.0.0.1:1/",
    }).sign(stranger.privateKey),
  ];
  const { authenticator } = await withKeys(host);
  const { authenticator: both } = await withKeys(host, `another ${SECRET}`);
  for (const token of forged) {
    await refuses(authenticator, token, /algorithm|badly signed/);
    await refuses(both, token, /badly signed/);
  }
  await refuses(authenticator, await sign({}, bytesOf(SECRET), { ...HS256, kid: "oct" }));
});

Deno.test("check() does not take the secret for a key of the key set", async () => {
  const keys = await Promise.all(KEY_SET_ALGORITHMS.map((alg) => newKey(alg, alg)));
  await using host = new KeyHost(keys);
  const { authenticator } = await withKeys(host, SECRET);
  for (const alg of KEY_SET_ALGORITHMS) {
    const unsigned = `${encode({ alg, kid: alg })}.${encode({ sub: "alice" })}`;
    const signature = createHmac("sha256", SECRET).update(unsigned).digest("base64url");
    await refuses(authenticator, `${unsigned}.${signature}`, /badly signed/);
  }
});

Deno.test("check() accepts both kinds where both are configured", async () => {
  const key = await newKey("ES256", "k");
  await using host = new KeyHost([key]);
  const { authenticator } = await withKeys(host, SECRET);
  assert.equal((await authenticator.check(await sign({ sub: "a" }))).clientId, "a");
  assert.equal((await authenticator.check(await signWith(key, { sub: "b" }))).clientId, "b");
});

/** A host with one key that an authenticator has fetched. */
async function withKnownKey(host: KeyHost, known: SigningKey) {
  const surroundings = await withKeys(host);
  await surroundings.authenticator.check(await signWith(known));
  assert.equal(host.fetches, 1);
  return surroundings;
}

Deno.test("check() fetches a key that has just come, at the latest a second after the last fetch", async () => {
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

Deno.test("check() fetches once a second at the most, however many unknown keys are named", async () => {
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

Deno.test("check() fetches nothing for a token that no key could make good", async () => {
  const key = await newKey("ES256", "k");
  await using host = new KeyHost([key]);
  const { authenticator } = await withKnownKey(host, key);
  await refuses(authenticator, "x.y.z");
  await refuses(authenticator, await sign({}, bytesOf(SECRET), { ...HS256, kid: "new" }));
  await refuses(authenticator, `${encode({ alg: "none", kid: "new" })}.${encode({})}.`);
  assert.equal(host.fetches, 1);
});

Deno.test("check() fetches old keys again, while they go on being used", async () => {
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

Deno.test("check() goes on with the keys that it has while their host is down", async () => {
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

Deno.test("check() recovers by itself where the host was down from the start", async () => {
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

Deno.test("check() gives up on a host that does not answer, and holds nobody up meanwhile", async () => {
  const [known, unknown] = [await newKey("ES256", "known"), await newKey("ES256", "unknown")];
  await using host = new KeyHost([known]);
  const { authenticator, clock, failures } = await withKeys(host, SECRET);
  await authenticator.check(await signWith(known));
  const release = host.hold();
  clock.advance(1000);
  const asked = host.asked();
  const refused = refuses(authenticator, await signWith(unknown), /could not be fetched/);
  await asked;
  await authenticator.check(await signWith(known));
  await authenticator.check(await sign({}));
  clock.advance(4000);
  await refused;
  assert.deepEqual(failures, ["no answer within 4000 ms"]);
  release();
  host.keys.push(unknown.publicJwk);
  await authenticator.check(await signWith(unknown));
});

Deno.test("check() gives up on a host that begins to answer and does not end", async () => {
  const key = await newKey("ES256", "k");
  await using host = new KeyHost([key]);
  let begun = () => {};
  const hasBegun = new Promise<void>((resolve) => begun = resolve);
  host.answer = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          controller.enqueue(bytesOf('{"keys":['));
          begun();
          return new Promise(() => {});
        },
      }),
    );
  const { authenticator, clock, failures } = await withKeys(host);
  const refused = refuses(authenticator, await signWith(key), /could not be fetched/);
  await hasBegun;
  clock.advance(4000);
  await refused;
  assert.deepEqual(failures, ["no answer within 4000 ms"]);
});

Deno.test("check() survives a host that answers nonsense, and recovers", async () => {
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

Deno.test("check() goes on after a key set with a key that is none", async () => {
  const key = await newKey("ES256", "k");
  await using host = new KeyHost([key]);
  host.keys.unshift({ kty: "EC", kid: "broken", crv: "P-256", x: "AA", y: "AA" });
  const { authenticator } = await withKeys(host);
  await refuses(authenticator, await signWith({ ...key, kid: "broken" }), /malformed/);
  await authenticator.check(await signWith(key));
});

Deno.test("check() says what a token lacks that could be of several keys", async () => {
  const keys = [await newKey("ES256", "a"), await newKey("ES256", "b")];
  await using host = new KeyHost(keys);
  const { authenticator } = await withKeys(host);
  const token = await new SignJWT({}).setProtectedHeader({ alg: "ES256" })
    .sign(keys[0]!.privateKey);
  await refuses(authenticator, token, /which of several keys/);
});
