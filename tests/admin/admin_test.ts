/** The admin listener over HTTP: what it shows, and what it refuses. */

import assert from "node:assert/strict";
import { type ServerWithAdmin, startServerWithAdmin } from "../helpers/admin.ts";
import { TestClient } from "../helpers/client.ts";
import { hasCommand, isMissing } from "../helpers/tools.ts";

/** The value of each line of /metrics, by its name and labels. */
async function scrape({ adminUrl }: ServerWithAdmin): Promise<Map<string, number>> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => {
    const space = line.lastIndexOf(" ");
    return [line.slice(0, space), Number(line.slice(space + 1))];
  }));
}

async function status(url: string, init: RequestInit = {}): Promise<number> {
  const response = await fetch(url, init);
  await response.body?.cancel();
  return response.status;
}

async function listIds({ adminUrl }: ServerWithAdmin, query = ""): Promise<string[]> {
  const page = await (await fetch(`${adminUrl}/api/clients${query}`)).json();
  return page.clients.map(({ id }: { id: string }) => id);
}

Deno.test("/metrics shows what has happened, under the names of the reference", async () => {
  await using server = startServerWithAdmin();
  const [alice, bob, carol] = await TestClient.registerAll(server.url, "alice", "bob", "carol");
  const sent = ['{"type":"offer","target_id":"bob"}', '{"type":"hé"}', '{"target_id":"dave"}'];
  for (const message of sent) alice.send(message); // the last is stored
  await Promise.all([bob.next(), bob.next(), carol.next()]);
  alice.send("not JSON");
  await alice.next();
  await carol.close(4321);
  await server.events.happened("unregistered carol");
  const shown = await scrape(server);
  const expected = {
    'signalbox_build_info{version="test"}': 1,
    signalbox_connections: 2,
    signalbox_clients: 2,
    'signalbox_dialect_clients{dialect="core"}': 2,
    'signalbox_refused_total{status="403"}': 0,
    'signalbox_messages_total{kind="direct"}': 2,
    'signalbox_messages_total{kind="broadcast"}': 1,
    signalbox_deliveries_total: 3,
    'signalbox_errors_total{code="invalid_message"}': 1,
    'signalbox_errors_total{code="target_not_found"}': 0,
    'signalbox_closes_total{code="other"}': 1,
    'signalbox_closes_total{code="1000"}': 0,
    signalbox_mailbox_messages: 1,
    signalbox_message_bytes_count: 3,
    signalbox_message_bytes_sum: sent.join("").length + 1,
    'signalbox_message_bytes_bucket{le="64"}': 3,
    'signalbox_message_bytes_bucket{le="+Inf"}': 3,
    signalbox_relay_seconds_count: 2,
    'signalbox_relay_seconds_bucket{le="+Inf"}': 2,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(shown.get(name), value, name);
  assert.ok(shown.get("signalbox_relay_seconds_sum")! > 0);
  assert.ok(shown.get("process_resident_memory_bytes")! > 1e7);
  assert.ok(shown.get("process_cpu_seconds_total")! > 0);
  assert.ok(Math.abs(shown.get("process_start_time_seconds")! - Date.now() / 1000) < 3600);
  const dave = await TestClient.register(server.url, "dave");
  await dave.next();
  assert.equal((await scrape(server)).get("signalbox_deliveries_total"), 4);
  await Promise.all([alice.close(), bob.close(), dave.close()]);
});

Deno.test("/metrics is valid for Prometheus", {
  ignore: isMissing(hasCommand("promtool"), "promtool (Debian: prometheus)"),
}, async () => {
  await using server = startServerWithAdmin();
  const alice = await TestClient.register(server.url, "alice");
  alice.send({ type: "hello" });
  await server.events.happened("broadcast alice 0");
  const response = await fetch(`${server.adminUrl}/metrics`);
  assert.match(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  const promtool = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await response.body!.pipeTo(promtool.stdin);
  const { success, stdout, stderr } = await promtool.output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.ok(success, said);
  assert.equal(said, "");
  await alice.close();
});

Deno.test("/metrics has as many lines after hostile clients as before", async () => {
  await using server = startServerWithAdmin({ mailboxTtlMs: "0" });
  const before = await scrape(server);
  for (let n = 0; n < 20; n++) {
    const client = await TestClient.register(server.url, `id${n}"} \\`, { room: `room${n}` });
    client.send({ type: `type${n}`, target_id: `absent${n}` });
    await client.next();
    await client.close(3000 + n);
  }
  await server.events.happened('unregistered id19"} \\');
  const after = await scrape(server);
  assert.deepEqual([...after.keys()], [...before.keys()]);
  assert.equal(after.get('signalbox_closes_total{code="other"}'), 20);
});

Deno.test("/api/clients lists the connected clients, and what they have sent", async () => {
  await using server = startServerWithAdmin();
  const before = Date.now();
  const alice = await TestClient.register(server.url, "alice");
  const bob = await TestClient.register(server.url, "bob", { room: "lobby" });
  const lurker = await TestClient.connect(server.url);
  alice.send({ type: "hello", target_id: "alice" });
  await alice.next();
  const { clients, ...page } = await (await fetch(`${server.adminUrl}/api/clients`)).json();
  assert.deepEqual(page, { total: 2, matching: 2, offset: 0, limit: 50 });
  for (const client of clients) {
    const since = Date.parse(client.connected_since);
    assert.ok(since > before - 1000 && since < Date.now() + 1000);
    delete client.connected_since;
  }
  const address = "127.0.0.1";
  assert.deepEqual(clients, [
    {
      room: null,
      id: "alice",
      dialect: null,
      address,
      messages_in: 1,
      messages_out: 2,
      waiting_bytes: 0,
    },
    {
      room: "lobby",
      id: "bob",
      dialect: null,
      address,
      messages_in: 0,
      messages_out: 1,
      waiting_bytes: 0,
    },
  ]);
  await Promise.all([alice.close(), bob.close(), lurker.close()]);
});

Deno.test("/api/clients refuses a query that it does not understand, and says why", async () => {
  await using server = startServerWithAdmin();
  const response = await fetch(`${server.adminUrl}/api/clients?limit=5000`);
  assert.equal(response.status, 400);
  assert.match(await response.text(), /^limit takes a whole number from 1 to 500\.$/m);
});

Deno.test("DELETE disconnects one client with 1008 disconnected, and no error notice", async () => {
  await using server = startServerWithAdmin();
  const alice = await TestClient.register(server.url, "alice");
  const namesake = await TestClient.register(server.url, "alice", { room: "lobby" });
  const url = `${server.adminUrl}/api/clients/alice`;
  assert.equal(await status(url, { method: "DELETE" }), 204);
  const { code, reason } = await alice.closed;
  assert.deepEqual({ code, reason }, { code: 1008, reason: "disconnected" });
  assert.equal(alice.unread, 0);
  assert.deepEqual(await listIds(server), ["alice"]);
  assert.equal(await status(url, { method: "DELETE" }), 404);
  assert.equal(await status(`${url}?room=lobby`, { method: "DELETE" }), 204);
  assert.equal((await namesake.closed).code, 1008);
});

Deno.test("DELETE takes the ID away from a client that could resume it", async () => {
  await using server = startServerWithAdmin();
  const alice = await TestClient.register(server.url, "alice", { resume: true });
  const url = `${server.adminUrl}/api/clients/alice`;
  assert.equal(await status(url, { method: "DELETE" }), 204);
  await alice.closed;
  assert.ok(server.events.lines.includes("unregistered alice"));
  assert.ok(!server.events.lines.includes("detached alice"));
});

Deno.test("DELETE finds every ID that a client can have", async () => {
  await using server = startServerWithAdmin();
  for (const id of ["a/b", "..", ".", "%2e", "?room=x", "#", "ü 😀", "a+b&c", "<img src=x>"]) {
    const client = await TestClient.register(server.url, id, { room: "r/&" });
    const isDots = id === "." || id === ".."; // the two that a URL cannot have as its last part
    const query = new URLSearchParams({ room: "r/&", ...(isDots && { id }) });
    const path = isDots ? "" : `/${encodeURIComponent(id)}`;
    const url = `${server.adminUrl}/api/clients${path}?${query}`;
    assert.equal(await status(url, { method: "DELETE" }), 204, id);
    assert.equal((await client.closed).reason, "disconnected");
  }
});

Deno.test("a page of another origin cannot disconnect a client", async () => {
  await using server = startServerWithAdmin();
  const alice = await TestClient.register(server.url, "alice");
  const url = `${server.adminUrl}/api/clients/alice`;
  const foreign = { origin: "http://evil.example" };
  assert.equal(await status(url, { method: "DELETE", headers: foreign }), 403);
  assert.equal(await status(url, { method: "OPTIONS", headers: foreign }), 403);
  assert.equal(await status(url, { method: "POST" }), 405);
  assert.deepEqual(await listIds(server), ["alice"]);
  await alice.close();
});

Deno.test("a page whose name was rebound to the listener gets nothing", async () => {
  await using server = startServerWithAdmin();
  const { hostname, port } = new URL(server.adminUrl);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const lines = ["GET /api/clients HTTP/1.1", `Host: evil.example:${port}`, "Connection: close"];
  await connection.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
  const response = await new Response(connection.readable).text();
  assert.match(response, /^HTTP\/1\.1 421 /);
  assert.doesNotMatch(response, /clients/);
});

Deno.test("with a password nothing is shown without it", async () => {
  await using server = startServerWithAdmin({ adminPassword: "sesame" });
  const authorization = `Basic ${btoa("me:sesame")}`;
  for (const path of ["/", "/admin.js", "/metrics", "/api/clients", "/api/overview", "/nothing"]) {
    const url = `${server.adminUrl}${path}`;
    assert.equal(await status(url), 401, path);
    assert.equal(
      await status(url, { headers: { authorization } }),
      path === "/nothing" ? 404 : 200,
    );
  }
  const url = `${server.adminUrl}/api/clients/alice`;
  assert.equal(await status(url, { method: "DELETE" }), 401);
});

Deno.test("every answer forbids what a page of it would not need", async () => {
  await using server = startServerWithAdmin();
  for (const path of ["/", "/admin.js", "/metrics", "/api/clients", "/api/overview", "/nothing"]) {
    const { headers, body } = await fetch(`${server.adminUrl}${path}`);
    await body?.cancel();
    assert.equal(headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(headers.get("x-frame-options"), "DENY", path);
    assert.equal(headers.get("cross-origin-resource-policy"), "same-origin", path);
    assert.equal(headers.get("access-control-allow-origin"), null, path);
  }
  const { headers, body } = await fetch(`${server.adminUrl}/`);
  await body?.cancel();
  const policy = headers.get("content-security-policy")!;
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
});

Deno.test("/api/overview gives only the samples that are new", async () => {
  await using server = startServerWithAdmin();
  const get = async (after: string) =>
    await (await fetch(`${server.adminUrl}/api/overview?after=${after}`)).json();
  const first = await get("0");
  assert.ok(first.samples.length >= 1);
  assert.equal(first.samples.length, first.taken);
  assert.equal((await get(String(first.taken + 1000))).samples.length, first.samples.length);
  const later = await get(String(first.taken));
  assert.equal(later.samples.length, later.taken - first.taken);
});

Deno.test("nothing of the admin listener is on the public port", async () => {
  await using server = startServerWithAdmin();
  const publicUrl = server.url.replace("ws", "http");
  for (const path of ["/metrics", "/api/clients", "/api/overview", "/admin.js", "/admin.css"]) {
    assert.equal(await status(`${publicUrl}${path}`), 404, path);
  }
  const url = `${publicUrl}/api/clients/alice`;
  assert.equal(await status(url, { method: "DELETE" }), 404);
});
