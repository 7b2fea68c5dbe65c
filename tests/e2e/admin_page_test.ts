/// <reference lib="dom" />

/** The admin page in Chromium, with real clients, hostile ones and very many. */

import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { Admin } from "../../lib/admin/admin.ts";
import { systemClock } from "../../lib/clock.ts";
import { Metrics } from "../../lib/admin/metrics.ts";
import { assertAccessible } from "../helpers/accessibility.ts";
import { startServerWithAdmin } from "../helpers/admin.ts";
import { testInBrowser } from "../helpers/chromium.ts";
import { TestClient } from "../helpers/client.ts";
import { ignoreEvents } from "../helpers/events.ts";

/** Names that are markup, hide themselves, turn the text around, or are no names at all to a careless reader. */
const HOSTILE_IDS = [
  "<img src=x onerror=\"document.title='hacked'\">",
  "\"><script>document.title='hacked'</script>",
  "javascript:alert(1)",
  "&lt;b&gt;",
  "${7*7}{{7*7}}",
  "__proto__",
  "..",
  " ",
  "receiver\u202e100\u200b",
  "x".repeat(128),
];

function row(page: Page, id: string): Locator {
  return page.locator("#rows tr").filter({
    has: page.getByRole("rowheader", { name: id, exact: true }),
  });
}

async function ids(page: Page): Promise<(string | null)[]> {
  return await page.locator("#rows th bdi").evaluateAll((cells) =>
    cells.map(({ textContent }) => textContent)
  );
}

/** Waits until the list shows exactly these, in this order. */
async function lists(page: Page, expected: readonly string[]): Promise<void> {
  await page.waitForFunction((expected) => {
    const cells = [...document.querySelectorAll("#rows th bdi")];
    return JSON.stringify(cells.map(({ textContent }) => textContent)) === expected;
  }, JSON.stringify(expected));
}

testInBrowser(
  "the page shows clients, and goes on showing what becomes of them",
  async (browser) => {
    await using server = startServerWithAdmin();
    const alice = await TestClient.register(server.url, "alice", { room: "lobby" });
    const page = await browser.open(server.adminUrl);
    const columns = row(page, "alice").getByRole("cell");
    await columns.filter({ hasText: "lobby" }).waitFor();
    await columns.filter({ hasText: "127.0.0.1" }).waitFor();
    const bob = await TestClient.register(server.url, "bob");
    await lists(page, ["alice", "bob"]);
    bob.send("not JSON");
    await page.getByText("invalid_message").waitFor();
    await alice.close(1000);
    await lists(page, ["bob"]);
    await page.getByText("goodbye").waitFor();
    await bob.close();
    await page.getByText("No client is connected.").waitFor();
  },
);

testInBrowser("what clients call themselves is text, never markup", async (browser) => {
  await using server = startServerWithAdmin();
  const clients = [];
  for (const id of HOSTILE_IDS) {
    clients.push(await TestClient.register(server.url, id, { room: id }));
  }
  const page = await browser.open(server.adminUrl);
  await page.locator("#rows tr").nth(HOSTILE_IDS.length - 1).waitFor();
  const visible = HOSTILE_IDS.map((id) =>
    id.replace("\u202e", "‹U+202E›").replace("\u200b", "‹U+200B›")
  );
  assert.deepEqual(await ids(page), visible.toSorted());
  for (const id of visible) {
    const button = page.getByRole("button", { name: `Disconnect ${id.trim()}`, exact: true })
      .first();
    await button.click();
    const dialog = page.getByRole("dialog");
    assert.equal(await dialog.locator("bdi").textContent(), id);
    await dialog.getByRole("button", { name: "Cancel" }).click();
  }
  assert.equal(await page.locator("table :is(img, script, b), dialog :is(img, script)").count(), 0);
  assert.doesNotMatch(await page.title(), /hacked/);
  await Promise.all(clients.map((client) => client.close()));
});

testInBrowser(
  "a client is disconnected once that is confirmed, and not before",
  async (browser) => {
    await using server = startServerWithAdmin();
    const alice = await TestClient.register(server.url, "alice");
    const bob = await TestClient.register(server.url, "..", { room: "lobby" });
    const page = await browser.open(server.adminUrl);
    const dialog = page.getByRole("dialog", { name: "Disconnect ..?" });
    await row(page, "..").getByRole("button").click();
    await dialog.getByText("room lobby, from 127.0.0.1").waitFor();
    await page.keyboard.press("Enter"); // Cancel has the focus
    await dialog.waitFor({ state: "hidden" });
    assert.equal(bob.unread, 0);
    await row(page, "..").getByRole("button").press("Enter");
    await dialog.getByRole("button", { name: "Disconnect" }).click();
    assert.deepEqual(await bob.ending(), [1008, "disconnected"]);
    await page.getByText(".. was disconnected.").waitFor();
    await lists(page, ["alice"]);
    await alice.close();
  },
);

testInBrowser(
  "a client that leaves while the dialog is open is reported as not connected",
  async (browser) => {
    await using server = startServerWithAdmin();
    const alice = await TestClient.register(server.url, "alice");
    const page = await browser.open(server.adminUrl);
    await row(page, "alice").getByRole("button").click();
    await alice.close();
    await server.events.happened("unregistered alice");
    await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).click();
    await page.getByText("alice was not connected any more.").waitFor();
  },
);

/** An admin listener with a list of clients that do not exist. */
function startCrowded(count: number): { url: string } & AsyncDisposable {
  const connections = new Set(Array.from({ length: count }, (_, n) => ({
    address: `192.0.2.${n % 256}`,
    connectedAtMs: 0,
    messagesIn: n,
    messagesOut: 2 * n,
    bufferedBytes: n % 10 === 0 ? n : 0,
    session: {
      id: `client_${String(n).padStart(4, "0")}`,
      roomName: n % 2 === 0 ? "even" : "",
      dialect: null,
    },
    close() {},
  })));
  const clock = systemClock;
  const admin = new Admin({ hostname: "127.0.0.1", port: 0 }, {
    version: "test",
    clock,
    emit: ignoreEvents,
    metrics: new Metrics(clock),
    server: { connections, clients: count, storedMessages: 0, isClusterUp: null },
    password: undefined,
  });
  return { url: admin.url, [Symbol.asyncDispose]: () => admin.stop() };
}

testInBrowser("of 5,000 clients the page has fifty, and finds any", async (browser) => {
  await using admin = startCrowded(5000);
  const page = await browser.open(admin.url);
  await page.getByText("1 to 50").waitFor();
  assert.equal(await page.locator("#rows tr").count(), 50);
  assert.equal(await page.locator("#count").textContent(), "5,000");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("51 to 100").waitFor();
  assert.equal((await ids(page))[0], "client_0050");
  await page.getByRole("button", { name: "In", exact: true }).click();
  await page.getByText("1 to 50").waitFor();
  await row(page, "client_4999").waitFor();
  const order = page.getByRole("columnheader", { name: "In", exact: true });
  assert.equal(await order.getAttribute("aria-sort"), "descending");
  const announcer = page.locator("#announcer");
  assert.equal(await announcer.textContent(), "");
  await page.getByRole("searchbox").fill("NT_123");
  await lists(page, Array.from({ length: 10 }, (_, n) => `client_${1239 - n}`));
  assert.equal(await page.locator("#count").textContent(), "10 of 5,000");
  assert.equal(await announcer.textContent(), "10 of 5,000 clients shown.");
  assert.ok(await page.getByRole("button", { name: "Next" }).isDisabled());
  await page.getByRole("searchbox").fill("absent");
  await page.getByText("No client matches the filter.").waitFor();
});

testInBrowser("a row keeps the focus while the list is in motion", async (browser) => {
  await using server = startServerWithAdmin();
  const bob = await TestClient.register(server.url, "bob");
  const page = await browser.open(server.adminUrl);
  await row(page, "bob").getByRole("button").focus();
  const alice = await TestClient.register(server.url, "alice"); // comes before bob
  await lists(page, ["alice", "bob"]);
  const focused = page.locator(":focus");
  assert.equal(await focused.getAttribute("aria-label"), "Disconnect bob");
  await Promise.all([alice.close(), bob.close()]);
});

testInBrowser(
  "the focus moves to the next row when its row is removed, and to the list after the last",
  async (browser) => {
    await using server = startServerWithAdmin();
    const clients = [];
    for (const id of ["alice", "bob"]) clients.push(await TestClient.register(server.url, id));
    const page = await browser.open(server.adminUrl);
    await lists(page, ["alice", "bob"]);
    for (const [id, rest] of [["alice", ["bob"]], ["bob", []]] as const) {
      await row(page, id).getByRole("button").press("Enter");
      await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).press("Enter");
      await page.getByText(`${id} was disconnected.`).waitFor({ state: "attached" });
      await lists(page, rest);
      const [next] = rest;
      const focused = page.locator(":focus");
      if (next) assert.equal(await focused.getAttribute("aria-label"), `Disconnect ${next}`);
      else assert.equal(await focused.getAttribute("id"), "clients");
    }
    await Promise.all(clients.map((client) => client.closed));
  },
);

testInBrowser("clients of other servers are listed with their dialect", async (browser) => {
  await using admin = startCrowded(1);
  const page = await browser.open("about:blank");
  await page.route("**/api/clients?*", async (route) => {
    const { clients: [client], ...rest } = await (await route.fetch()).json();
    const clients = ["peerjs", null].map((dialect) => ({ ...client, dialect }));
    await route.fulfill({ json: { ...rest, clients } });
  });
  await page.goto(admin.url);
  const dialects = page.locator("#rows [data-column=dialect]");
  await dialects.nth(1).waitFor();
  assert.deepEqual(await dialects.allTextContents(), ["peerjs", "–"]);
});

testInBrowser(
  "curves are there at once, and show their values to the keyboard too",
  async (browser) => {
    await using server = startServerWithAdmin();
    const alice = await TestClient.register(server.url, "alice");
    alice.send({ type: "hello" });
    const page = await browser.open(server.adminUrl);
    const chart = page.getByRole("img", { name: /^Connections over ten minutes, now: clients 1,/ });
    await chart.waitFor();
    for (const line of await page.locator(".chart .line").all()) {
      assert.match(await line.getAttribute("d") ?? "", /^M[\d.,L]+$/);
    }
    await page.waitForFunction(() =>
      (document.querySelector(".chart .line")?.getAttribute("d") ?? "").includes("L")
    );
    await chart.press("ArrowLeft");
    await page.getByRole("img", { name: /^Connections over ten minutes, at / }).waitFor();
    assert.equal(await page.locator(".cursor.shown").count(), 1);
    await alice.close();
  },
);

for (const colorScheme of ["light", "dark"] as const) {
  testInBrowser(`the page has no barriers that axe finds, ${colorScheme}`, async (browser) => {
    await using server = startServerWithAdmin();
    const alice = await TestClient.register(server.url, "alice", { room: "lobby" });
    alice.send("not JSON");
    await (await TestClient.connect(server.url)).close();
    const page = await browser.open(server.adminUrl, { colorScheme });
    await row(page, "alice").waitFor();
    await page.getByText("invalid_message").waitFor();
    await assertAccessible(page);
    await row(page, "alice").getByRole("button").click();
    await assertAccessible(page);
    await page.setViewportSize({ width: 390, height: 800 });
    await assertAccessible(page);
    await alice.close();
  });
}

testInBrowser(
  "the page says that the server does not answer, and goes on when it does",
  async (browser) => {
    await using admin = startCrowded(1);
    const page = await browser.open(admin.url);
    await page.getByText("live", { exact: true }).waitFor();
    await page.route("**/api/**", (route) => route.abort());
    await page.getByText("The server does not answer. The numbers are from ").waitFor();
    const tile = page.locator(".tiles dd").first();
    const style = () => tile.evaluate((element) => getComputedStyle(element).fontStyle);
    assert.equal(await style(), "italic");
    assert.equal(await page.title(), "no answer · signalbox admin");
    await assertAccessible(page);
    await page.unroute("**/api/**");
    await page.getByText("live", { exact: true }).waitFor();
    assert.equal(await style(), "normal");
  },
);

testInBrowser("nothing on the page goes over its edge, on a phone too", async (browser) => {
  await using server = startServerWithAdmin();
  const clients = [];
  for (const id of HOSTILE_IDS) clients.push(await TestClient.register(server.url, id));
  for (const width of [320, 390, 768, 940, 1024, 1230, 1440]) {
    const page = await browser.open(server.adminUrl, { viewport: { width, height: 800 } });
    await page.locator("#rows tr").nth(HOSTILE_IDS.length - 1).waitFor();
    const scrolled = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(scrolled <= width, `${scrolled} of ${width}`);
    const cutOff = await page.locator("#columns th").evaluateAll((cells) =>
      cells.filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
        .map(({ textContent }) => textContent)
    );
    assert.deepEqual(cutOff.filter((title) => title !== "Action"), [], `at ${width}`);
    await page.context().close();
  }
  await Promise.all(clients.map((client) => client.close()));
});
