/** Which tokens are accepted, and for what. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { exportSPKI, importJWK, SignJWT } from "jose";
import { allows, createAuthenticator, signToken } from "../../lib/auth/tokens.ts";
import { type Claims, KeyHost, newKey, type SigningKey, signWith } from "../helpers/key_host.ts";
import { bytesOf, encode, HS256, refuses, SECRET, sign, withKeys } from "../helpers/tokens.ts";

const nowSeconds = () => Math.floor(Date.now() / 1000);

const withSecret = () => createAuthenticator([SECRET], undefined);

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

Deno.test("check() refuses a token without a signature", async () => {
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

Deno.test("check() accepts tokens that any of several secrets has signed", async () => {
  const other = "another secret of at least thirty-two bytes";
  const authenticator = await createAuthenticator([other, SECRET], undefined);
  assert.equal((await authenticator.check(await sign({ sub: "a" }))).clientId, "a");
  assert.equal((await authenticator.check(await sign({ sub: "b" }, bytesOf(other)))).clientId, "b");
  await refuses(authenticator, await sign({}, bytesOf(`${SECRET}.`)), /badly signed/);
  await refuses(authenticator, await sign({ exp: nowSeconds() - 10 }), /expired/);
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
  const others = await Promise.all(["RS384", "PS256", "ES384"].map((alg) => newKey(alg, alg)));
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

Deno.test("check() accepts both kinds if both are configured", async () => {
  const key = await newKey("ES256", "k");
  await using host = new KeyHost([key]);
  const { authenticator } = await withKeys(host, SECRET);
  assert.equal((await authenticator.check(await sign({ sub: "a" }))).clientId, "a");
  assert.equal((await authenticator.check(await signWith(key, { sub: "b" }))).clientId, "b");
});

Deno.test("check() tries each key of its kind for a token without kid", async () => {
  const [a, b, c] = [
    await newKey("ES256", "a"),
    await newKey("ES256", "b"),
    await newKey("RS256", "c"),
  ];
  await using host = new KeyHost([a, b, c]);
  const { authenticator } = await withKeys(host);
  const signBy = ({ alg, privateKey }: SigningKey, claims: Claims) =>
    new SignJWT(claims).setProtectedHeader({ alg }).sign(privateKey);
  for (const key of [a, b, c]) {
    const { clientId } = await authenticator.check(await signBy(key, { sub: key.kid }));
    assert.equal(clientId, key.kid);
  }
  await refuses(authenticator, await signBy(b, { exp: 1 }), /expired/);
  await refuses(authenticator, await signBy(await newKey("ES256", "d"), {}), /badly signed/);
});

Deno.test("check() verifies one signature at a time, so that others have their turn in between", async () => {
  const key = await newKey("ES256", "k");
  await using host = new KeyHost([key]);
  const { authenticator } = await withKeys(host);
  const { subtle } = crypto;
  const verify = subtle.verify;
  let running = 0;
  let most = 0;
  subtle.verify = async (...args: Parameters<typeof verify>) => {
    most = Math.max(most, ++running);
    return await verify.apply(subtle, args).finally(() => running--);
  };
  try {
    const tokens = [await signWith(key), "no.to.ken", await signWith(key)];
    const checks = await Promise.allSettled(tokens.map((token) => authenticator.check(token)));
    assert.deepEqual(checks.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  } finally {
    subtle.verify = verify;
  }
  assert.equal(most, 1);
});

Deno.test("check() does not read a header, or a token, that is too long", async () => {
  const authenticator = await withSecret();
  const parse = JSON.parse;
  let longest = 0;
  JSON.parse = (text: string, ...more: []) => {
    longest = Math.max(longest, text.length);
    return parse(text, ...more);
  };
  try {
    const header = encode({
      ...HS256,
      names: Array.from({ length: 5000 }, (_, n) => ({ [n]: 0 })),
    });
    await refuses(authenticator, `${header}.e30.AAAA`, /more than 16384 characters/);
    await refuses(authenticator, `${header.slice(0, 5000)}.e30.AAAA`, /header has more than 4096/);
    await refuses(authenticator, ".".repeat(60_000), /more than 16384 characters/);
  } finally {
    JSON.parse = parse;
  }
  assert.ok(longest <= 4096, `${longest} characters`);
});

Deno.test("check() verifies no signature for a client that has disconnected", async () => {
  const authenticator = await withSecret();
  const { subtle } = crypto;
  const verify = subtle.verify;
  let count = 0;
  subtle.verify = async (...args: Parameters<typeof verify>) => {
    count++;
    return await verify.apply(subtle, args);
  };
  try {
    const token = await sign({});
    const checks = [true, false, true].map((isWanted) =>
      authenticator.check(token, () => isWanted)
    );
    const results = await Promise.allSettled(checks);
    assert.deepEqual(results.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  } finally {
    subtle.verify = verify;
  }
  assert.equal(count, 2);
});
