/** The static files for browsers. */

import assert from "node:assert/strict";
import { startServer } from "../helpers/server.ts";

async function get(url: string, init?: RequestInit): Promise<{ response: Response; body: string }> {
  const response = await fetch(url, init);
  return { response, body: await response.text() };
}

Deno.test("the public port serves the page with a strict policy and every file that it names", async () => {
  await using server = startServer();
  const { response, body } = await get(`${server.httpUrl}/`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  const policy = response.headers.get("content-security-policy")!;
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*|data:|https?:/);
  assert.doesNotMatch(body, /<style|style=|<script(?![^>]*src=)| on\w+=/i);
  const named = [...body.matchAll(/(?:src|href)="(?!#)([^"]+)"/g)].map(([, path]) => path!);
  assert.ok(named.length >= 4);
  await assertServed(new Set(named.map((path) => new URL(path, `${server.httpUrl}/`).href)));
});

/** Files and, through them, whatever modules import. */
async function assertServed(urls: Set<string>): Promise<void> {
  for (const url of urls) { // grows while it is walked
    const { response, body } = await get(url);
    assert.equal(response.status, 200, url);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff", url);
    if (!response.headers.get("content-type")!.startsWith("text/javascript")) continue;
    for (const [, path] of body.matchAll(/^import .*?from "(.+)";$/gm)) {
      urls.add(new URL(path!, url).href);
    }
  }
}

Deno.test("the public port serves the client to pages of any origin", async () => {
  await using server = startServer();
  const { response, body } = await get(`${server.httpUrl}/client.js`);
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  assert.equal(response.headers.get("content-type"), "text/javascript; charset=utf-8");
  assert.match(body, /export function connect/);
  assert.doesNotMatch(body, /^import /m);
});

Deno.test("the public port serves the Python client, of its own version", async () => {
  await using server = startServer();
  const { response, body } = await get(`${server.httpUrl}/client.py`);
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  assert.equal(response.headers.get("content-type"), "text/x-python; charset=utf-8");
  const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  assert.match(body, new RegExp(`^__version__ = "${JSON.parse(config).version}"$`, "m"));
});

Deno.test("the public port answers HEAD without a body, and what a browser has already with 304", async () => {
  await using server = startServer();
  const head = await get(`${server.httpUrl}/client.js`, { method: "HEAD" });
  assert.equal(head.response.status, 200);
  assert.equal(head.body, "");
  assert.ok(Number(head.response.headers.get("content-length")) > 10_000);
  const etag = head.response.headers.get("etag")!;
  assert.equal(head.response.headers.get("cache-control"), "no-cache");
  const again = await get(`${server.httpUrl}/client.js`, { headers: { "if-none-match": etag } });
  assert.equal(again.response.status, 304);
  assert.equal(again.body, "");
  const post = await get(`${server.httpUrl}/`, { method: "POST" });
  assert.equal(post.response.status, 404);
});

Deno.test("--no-page takes the page away with its files, and leaves the client", async () => {
  await using server = startServer({ noPage: "1" });
  for (const path of ["/", "/page/page.js", "/page/page.css", "/page/lean_qr.js"]) {
    assert.equal((await get(server.httpUrl + path)).response.status, 404, path);
  }
  assert.equal((await get(`${server.httpUrl}/client.js`)).response.status, 200);
});

Deno.test("the public port serves nothing else of the folder, and nothing out of it", async () => {
  await using server = startServer();
  const paths = [
    "/page/",
    "/page/index.html",
    "/web/client.js",
    "/page/../main.ts",
    "/page/%2e%2e/client.js",
  ];
  for (const path of [...paths, "/__proto__", "/page/..%2f..%2f..%2fmain.ts"]) {
    const { response, body } = await get(server.httpUrl + path);
    // A URL parser resolves two of these to the client, which anybody may have.
    if (response.status === 200) assert.match(body, /export function connect/, path);
    else assert.equal(response.status, 404, path);
  }
});
