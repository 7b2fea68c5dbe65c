/** The tables of HTTP paths are what the ports answer. */

import assert from "node:assert/strict";
import { startServerWithAdmin } from "../helpers/admin.ts";
import { codeIn, readDocument, tableUnder } from "../helpers/documents.ts";
import { startServer } from "../helpers/server.ts";

const operating = readDocument("operating");

function pathsUnder(heading: string): string[] {
  return tableUnder(operating, heading).map(([path]) => codeIn(path!)[0]!);
}

async function statusOf(url: string): Promise<number> {
  const response = await fetch(url);
  await response.body?.cancel();
  return response.status;
}

Deno.test("the public port answers every path that operating.md names", async () => {
  await using server = startServer();
  for (const path of pathsUnder("HTTP on the public port")) {
    assert.equal(await statusOf(server.httpUrl + path), 200, path);
  }
});

Deno.test("the admin listener answers every path that operating.md names", async () => {
  await using server = startServerWithAdmin();
  for (const path of pathsUnder("The admin listener")) {
    if (path.startsWith("/")) assert.equal(await statusOf(server.adminUrl + path), 200, path);
  }
});

Deno.test("operating.md shows /healthz and a client of /api/clients with all members", async () => {
  await using server = startServerWithAdmin();
  const health = await (await fetch(`${server.url.replace(/^ws/, "http")}/healthz`)).json();
  const socket = new WebSocket(server.url);
  const registered = new Promise((resolve) => socket.onmessage = resolve);
  socket.onopen = () => socket.send('{"type":"register","client_id":"alice"}');
  await registered;
  const list = await (await fetch(`${server.adminUrl}/api/clients`)).json();
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  await closed;
  const examples = codeIn(operating.text).filter((code) => /^\{.*\}$/.test(code));
  const membersOf = (value: object) => Object.keys(value).toSorted().join();
  const shown = examples.map((code) => membersOf(JSON.parse(code.replace("[…]", "[]"))));
  for (const value of [health, list, list.clients[0]]) {
    assert.ok(shown.includes(membersOf(value)), membersOf(value));
  }
});
