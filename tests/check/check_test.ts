/** The check of a running server: all well with a good one, and for each broken set-up what is likely and what to do. */

import assert from "node:assert/strict";
import { createAuthenticator } from "../../lib/auth/tokens.ts";
import { type CheckRequest, checkServer } from "../../lib/check/check.ts";
import { Certificate, isMissingOpenssl } from "../helpers/certificate.ts";
import { TestClient } from "../helpers/client.ts";
import { startServer } from "../helpers/server.ts";
import { SECRET, sign } from "../helpers/tokens.ts";
import { CuttingProxy, Greeter, HttpHost, proxyWithoutUpgrade } from "./setups.ts";

interface Outcome {
  readonly isGood: boolean;
  readonly lines: readonly string[];
}

async function check(
  url: string,
  more: Partial<CheckRequest> = {},
  onLine: (line: string) => void = () => {},
): Promise<Outcome> {
  const lines: string[] = [];
  const request = {
    url: new URL(url),
    isOwnMachine: false,
    token: null,
    origin: null,
    idleMs: 0,
    caCerts: [],
    ...more,
  };
  const isGood = await checkServer(request, (line) => {
    lines.push(line);
    onLine(line);
  });
  return { isGood, lines };
}

/** Asserts that all steps go well, with these names. */
function assertGood({ isGood, lines }: Outcome, names: string): void {
  assert.ok(isGood, lines.join("\n"));
  const marked = lines.map((line) => /^✓ ([^:]+): ./.exec(line)?.[1] ?? line);
  assert.equal(marked.join(", "), names);
}

/** Asserts that the last line is the first that is not well, of this step, with these words. */
function assertBad({ isGood, lines }: Outcome, name: string, ...words: readonly RegExp[]): void {
  assert.equal(isGood, false);
  const bad = lines.filter((line) => !line.startsWith("✓ "));
  assert.equal(bad.length, 1, lines.join("\n"));
  assert.ok(bad[0]!.startsWith(`✗ ${name}: `), bad[0]);
  for (const word of words) assert.match(bad[0]!, word);
  assert.match(bad[0]!, /[^.]\.$/);
  assert.doesNotMatch(bad[0]!, /\n|undefined|null/);
}

const EXCHANGE = "register, messages, ICE servers, large message";

// Good servers.

Deno.test("all steps are well with a good server, with pages and silence, too", async () => {
  const ice = { iceServers: "stun:stun.example.org,turn:turn.example.org", turnSecret: "secret" };
  await using server = startServer({ ...ice, allowOrigins: "https://app.example" });
  const outcome = await check(server.url, { origin: "https://app.example", idleMs: 50 });
  assertGood(outcome, `name, TCP, upgrade, origin, ${EXCHANGE}, idle`);
  assert.match(outcome.lines.join("\n"), /stun:stun.*; turn:turn.* credentials for 60 minutes/);
  assert.equal(server.server.connections.size, 0);
});

Deno.test("a token with a sub sends to its own ID, one with rooms uses them, another one neither", async () => {
  const authenticator = await createAuthenticator([SECRET], undefined);
  await using server = startServer({}, { authenticator });
  for (
    const [claims, line] of [
      [{ sub: "alice" }, /token's alice/],
      [{ room: ["lobby", "other"] }, /two clients .* in room lobby/],
      [{ sub: "alice", room: "lobby" }, /token's alice, in room lobby/],
      [{}, /two clients are registered$/],
    ] as const
  ) {
    const outcome = await check(server.url, { token: await sign(claims) });
    assertGood(outcome, `name, TCP, upgrade, ${EXCHANGE}`);
    assert.match(outcome.lines.find((line) => line.includes("register"))!, line);
  }
});

// Something else, or nothing.

Deno.test("check() explains a name without an address, and a port without a listener", async () => {
  assertBad(
    await check("ws://nowhere.invalid"),
    "name",
    /nowhere\.invalid has no address/,
    /A record/,
  );
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  const { port } = listener.addr;
  assertBad(await check(`ws://127.0.0.1:${port}`), "TCP", /Nothing listens/, /is running/);
});

Deno.test("check() explains a port of another program", async () => {
  await using ssh = new Greeter("SSH-2.0-OpenSSH_9.2\r\n");
  assertBad(await check(ssh.url), "upgrade", /not HTTP: "SSH-2\.0/, /Another program/);
  await using silent = new Greeter("");
  assertBad(await check(silent.url), "upgrade", /without an answer/);
  await using web = new HttpHost(() => new Response("Hi.", { headers: { server: "other/1" } }));
  assertBad(await check(web.url), "upgrade", /200 by "other\/1": "Hi\."/, /No signalbox is at/);
  await using echo = new HttpHost((request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => socket.send("Welcome to the echo.");
    return response;
  });
  assertBad(await check(echo.url), "register", /"Welcome to the echo\."/, /not signalbox/);
});

// Proxies.

Deno.test("check() explains a proxy that drops Upgrade", async () => {
  await using server = startServer();
  await using proxy = proxyWithoutUpgrade(server.httpUrl);
  assertBad(await check(proxy.url), "upgrade", /426/, /proxy_set_header Upgrade/);
});

Deno.test("check() explains what a proxy answers itself", async () => {
  let answer = new Response(null);
  await using proxy = new HttpHost(({ url }) => {
    return new URL(url).pathname.endsWith("/healthz")
      ? Response.json({ uptime_seconds: 1 })
      : answer.clone();
  });
  const says = async (path: string, response: Response, ...words: readonly RegExp[]) => {
    answer = response;
    assertBad(await check(proxy.url + path), "upgrade", ...words);
  };
  await says("/", new Response("", { status: 502 }), /502/, /does not reach signalbox/);
  await says("/", new Response("", { status: 401 }), /password/);
  await says("/", new Response("", { status: 403 }), /firewall/);
  const headers = { location: "https://signal.example.org/" };
  await says("/", new Response("", { status: 308, headers }), /use wss:\/\/signal\.example\.org\//);
  await says("/", new Response("", { status: 503 }), /503/, /check that it runs/);
  await says("/", new Response("", { status: 404 }), /signalbox is there/, /drops/);
  await says("/signal?token=secret", new Response("", { status: 404 }), /\/signal\/\?…\)/);
  await says("/signal", new Response("", { status: 404 }), /with a slash \(ws:.*\/signal\/\)/);
});

Deno.test("check() explains a proxy that cuts what is silent", async () => {
  await using server = startServer();
  await using proxy = new CuttingProxy(server.server.address.port);
  const outcome = await check(proxy.url, { idleMs: 3_600_000 }, (line) => {
    if (line.includes("large message")) proxy.cutAfter(200);
  });
  assertBad(outcome, "idle", /cut after \d+\.\d s of silence/, /timeout tunnel/, /--idle-timeout/);
});

// Limits.

Deno.test("check() explains an origin that is not allowed, and goes on", async () => {
  await using server = startServer({ allowOrigins: "https://app.example" });
  const outcome = await check(server.url, { origin: "https://other.example" });
  assertBad(outcome, "origin", /https:\/\/other\.example may not connect/, /--allow-origin/);
  assert.match(outcome.lines.at(-1)!, /^✓ large message/);
});

Deno.test("check() explains a token that is missing, bad, or for something else", async () => {
  const authenticator = await createAuthenticator([SECRET], undefined);
  await using server = startServer({}, { authenticator });
  assertBad(await check(server.url), "register", /--token/, /signalbox token --client-id/);
  const expired = await sign({ exp: 1 });
  assertBad(await check(server.url, { token: expired }), "register", /expired/, /Make a new one/);
  assertBad(await check(server.url, { token: "x.y.z" }), "register", /unauthorized/);
});

Deno.test("check() explains a full server", async () => {
  await using server = startServer({ maxConnections: "1" });
  assertBad(await check(server.url), "register", /503/, /Raise --max-connections/);
  const client = await TestClient.connect(server.url);
  assertBad(await check(server.url), "upgrade", /--max-connections is 1/);
  await client.close();
  const origin = "https://app.example";
  const { lines } = await check(server.url, { origin });
  assert.match(lines.at(-1)!, /^✗ second connection: .*503.*Raise --max-connections/);
  assert.doesNotMatch(lines.slice(0, -1).join("\n"), /✗/);
  await using perAddress = startServer({ maxConnectionsPerIp: "1" });
  assertBad(await check(perAddress.url), "register", /429/, /--trust-proxy/);
});

Deno.test("check() explains a large message that is refused", async () => {
  await using server = startServer({ maxMessageSizeBytes: "32KiB" });
  assertBad(await check(server.url), "large message", /--max-message-size/);
});

// TLS.

/** Runs a test with a server that has a certificate for localhost and 127.0.0.1. */
async function withTls(
  test: (url: string, certificate: Certificate) => Promise<void>,
  { make = Certificate.make, host = "127.0.0.1" } = {},
): Promise<void> {
  if (isMissingOpenssl()) return;
  using certificate = await make();
  const { pem: cert, key } = certificate;
  await using server = startServer({ host }, { tls: { cert, key } });
  await test(server.url, certificate);
}

Deno.test("all steps are well with TLS, and this machine's certificate may have any name", () =>
  withTls(async (url, { pem }) => {
    const outcome = await check(url, { caCerts: [pem] });
    assertGood(outcome, `name, TCP, TLS, upgrade, ${EXCHANGE}`);
    assert.match(
      outcome.lines[2]!,
      /localhost, 127\.0\.0\.1, issued by localhost, (29|30) days left/,
    );
  }));

Deno.test("check() explains a certificate for another name, unless it asks this machine", () =>
  withTls(async (url, { pem }) => {
    const caCerts = [pem];
    const outcome = await check(url, { caCerts });
    assertBad(outcome, "TLS", /is for localhost, 127\.0\.0\.1, not for 127\.0\.0\.2/);
    const own = await check(url, { caCerts, isOwnMachine: true });
    assertGood(own, `name, TCP, TLS, upgrade, ${EXCHANGE}`);
  }, { host: "127.0.0.2" }));

Deno.test("check() explains a self-signed certificate, and TLS where none is asked for", () =>
  withTls(async (url) => {
    assertBad(await check(url), "TLS", /self-signed/, /Let's Encrypt/, /--ca/);
    assertBad(await check(url.replace("wss", "ws")), "upgrade", /speaks TLS: write wss:/);
  }));

Deno.test("check() distinguishes a --ca of another authority from a server that has the authority's own", async () => {
  if (isMissingOpenssl()) return;
  using other = await Certificate.make();
  await withTls(async (url) => {
    const outcome = await check(url, { caCerts: [other.pem] });
    assertBad(outcome, "TLS", /The file of --ca does not hold the authority that signed/);
  });
  await withTls(async (url, { pem }) => {
    assertBad(await check(url, { caCerts: [pem] }), "TLS", /that of an authority \(CA:TRUE\)/);
  }, { make: Certificate.makeAuthority });
});

Deno.test("check() explains a certificate that has expired", () =>
  withTls(async (url, { pem }) => {
    assertBad(await check(url, { caCerts: [pem] }), "TLS", /expired at 20\d\d-/, /certbot renew/);
  }, { make: Certificate.makeExpired }));

Deno.test("check() explains a port without TLS", async () => {
  await using server = startServer();
  assertBad(await check(server.url.replace("ws", "wss")), "TLS", /speaks no TLS/, /ws:/);
});
