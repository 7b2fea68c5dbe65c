/** The documents that the public port serves. */

import assert from "node:assert/strict";
import { toHtml } from "../../lib/http/documents.ts";
import { assertAccessible } from "../helpers/accessibility.ts";
import { isChromiumMissing, TestBrowser } from "../helpers/chromium.ts";
import { startServer } from "../helpers/server.ts";

const PROTOCOL = new URL("../../lib/web/docs/protocol.md", import.meta.url);
const BROWSER = { headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" } };

async function get(url: string, init?: RequestInit): Promise<{ response: Response; body: string }> {
  const response = await fetch(url, init);
  return { response, body: await response.text() };
}

Deno.test("/docs/ answers the Markdown as it is to everything but a browser", async () => {
  await using server = startServer();
  const { response, body } = await get(`${server.httpUrl}/docs/protocol.md`);
  assert.equal(response.headers.get("content-type"), "text/markdown; charset=utf-8");
  assert.equal(response.headers.get("vary"), "accept");
  assert.equal(body, await Deno.readTextFile(PROTOCOL));
});

Deno.test("/docs/ answers HTML with a strict policy to a browser, also the second time", async () => {
  await using server = startServer();
  for (const _ of ["first", "second"]) {
    const { response, body } = await get(`${server.httpUrl}/docs/protocol.md`, BROWSER);
    assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(response.headers.get("vary"), "accept");
    assert.match(response.headers.get("content-security-policy")!, /default-src 'none'/);
    assert.match(body, /<h2 id="ice-servers">ICE servers<\/h2>/);
    assert.doesNotMatch(body, /<script|<style|style=| on\w+=/i);
  }
});

Deno.test("/docs/ answers HEAD without a body, and what a browser has already with 304", async () => {
  await using server = startServer();
  const head = await get(`${server.httpUrl}/docs/`, { ...BROWSER, method: "HEAD" });
  assert.equal(head.response.status, 200);
  assert.equal(head.body, "");
  const headers = { ...BROWSER.headers, "if-none-match": head.response.headers.get("etag")! };
  const again = await get(`${server.httpUrl}/docs/`, { headers });
  assert.equal(again.response.status, 304);
});

Deno.test("/docs leads to /docs/, by an address that holds under a prefix, too", async () => {
  await using server = startServer();
  const { response } = await get(`${server.httpUrl}/docs`, { redirect: "manual" });
  assert.equal(response.status, 308);
  assert.equal(response.headers.get("location"), "docs/");
});

Deno.test("a document without .md leads to it, a folder to its own, and what is none to a hint", async () => {
  await using server = startServer();
  for (
    const [path, target] of [
      ["protocol", "protocol.md"],
      ["zh-CN", "zh-CN/README.md"],
      ["zh-CN/", "zh-CN/README.md"],
      ["zh-CN/README", "zh-CN/README.md"],
    ]
  ) {
    const url = `${server.httpUrl}/docs/${path}`;
    const { response } = await get(url, { redirect: "manual" });
    assert.equal(response.status, 308, path);
    const location = response.headers.get("location")!;
    assert.equal(new URL(location, url).href, `${server.httpUrl}/docs/${target}`);
    assert.doesNotMatch(location, /^\//);
  }
  const none = await get(`${server.httpUrl}/docs/nothing`);
  assert.deepEqual([none.response.status, none.body], [
    404,
    "No such document. /docs/ lists those that exist.\n",
  ]);
});

Deno.test("every link of every document is served, and none needs the root of the host", async () => {
  await using server = startServer();
  const urls = new Set([`${server.httpUrl}/docs/`]);
  for (const url of urls) { // grows while it is walked
    const { response, body } = await get(url, BROWSER);
    assert.equal(response.status, 200, url);
    if (!response.headers.get("content-type")!.startsWith("text/html")) continue;
    for (const [, link] of body.matchAll(/(?:href|src)="([^"#]+)/g)) {
      assert.doesNotMatch(link!, /^\//, url);
      if (!/^https?:/.test(link!)) urls.add(new URL(link!, url).href);
    }
  }
  assert.ok(urls.size > 10);
});

Deno.test("/docs/ serves nothing out of its folder", async () => {
  await using server = startServer();
  const paths = ["/docs/nothing.md", "/docs/..%2fpage/page.js", "/docs/zh-CN/x", "/docs/__proto__"];
  for (const path of paths) {
    for (const init of [{}, BROWSER]) {
      assert.equal((await get(server.httpUrl + path, init)).response.status, 404, path);
    }
  }
});

Deno.test("toHtml() shows HTML in Markdown as text", async () => {
  const html = await toHtml(
    '<script>alert(1)</script>\n\nA <img src=x onerror="alert(1)"> and `<b>`.\n',
  );
  assert.doesNotMatch(html, /<(script|img|b)/);
  assert.match(html, /&lt;script>/);
});

Deno.test({
  name: "documents are accessible in a browser, and their policy stops nothing of them",
  ignore: isChromiumMissing(),
  async fn() {
    await using server = startServer();
    await using browser = await TestBrowser.launch();
    const page = await browser.open(`${server.httpUrl}/docs/`);
    await assertAccessible(page);
    await page.getByRole("navigation").getByRole("link", { name: "operating" }).click();
    await page.getByRole("heading", { name: "Options" }).waitFor();
    await assertAccessible(page);
    await page.getByRole("link", { name: "rate limit" }).first().click();
    await page.waitForURL("**/docs/protocol.md#rate-limit");
    assert.deepEqual(browser.complaints, []);
  },
});
