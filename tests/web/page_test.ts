/// <reference lib="dom" />

/** The page at `/` in Chromium, used as a person uses it: by what is written on its fields and buttons. */

import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { createAuthenticator, signToken } from "../../lib/auth/tokens.ts";
import { assertAccessible } from "../helpers/accessibility.ts";
import { testInBrowser } from "../helpers/chromium.ts";
import { startServer } from "../helpers/server.ts";
import { isTurnMissing, TurnServer } from "../helpers/turn_server.ts";

/** Options of servers that store nothing for clients whose browser has closed when the test ends. */
const forgetful = { resumeTtlMs: "0", mailboxTtlMs: "0" };

/** One peer on the page. */
function panel(page: Page, side: "first" | "second"): Locator {
  return page.getByRole("region", { name: `ID of the ${side} peer` });
}

async function isTalking(...panels: Locator[]): Promise<void> {
  for (const panel of panels) {
    await panel.locator("[data-state=channel][data-value=open]").waitFor();
  }
}

async function say(panel: Locator, text: string): Promise<void> {
  await panel.getByLabel("Message").fill(text);
  await panel.getByRole("button", { name: "Send", exact: true }).click();
}

/** Connects both peers of a page, and returns their panels. */
async function connectBoth(page: Page): Promise<[alice: Locator, bob: Locator]> {
  const [alice, bob] = [panel(page, "first"), panel(page, "second")];
  await page.getByRole("button", { name: "Connect both" }).click();
  await isTalking(alice, bob);
  return [alice, bob];
}

/** Writes from each to the other. */
async function chat(one: Locator, other: Locator): Promise<void> {
  await say(one, "Do you read me?");
  await other.getByRole("log").getByText("Do you read me?").last().waitFor();
  await say(other, "Loud and clear.");
  await one.getByRole("log").getByText("Loud and clear.").last().waitFor();
}

testInBrowser(
  "one press connects two peers, which chat, and the messages are shown",
  async (browser) => {
    await using server = startServer(forgetful);
    const page = await browser.open(server.httpUrl);
    const [alice, bob] = await connectBoth(page);
    await chat(alice, bob);

    const messages = page.locator("#messages > li");
    const types = await messages.locator("strong").allTextContents();
    for (const type of ["register", "registered", "offer", "answer", "candidate"]) {
      assert.ok(types.includes(type), type);
    }
    assert.match(types.at(-1)!, /^register$/); // newest first
    assert.equal(
      (await page.locator("#messages").textContent())!.includes("Loud and clear"),
      false,
    );
    await page.getByLabel("Contains").fill('"type": "offer"');
    const shown = await messages.filter({ visible: true }).locator("strong").allTextContents();
    assert.deepEqual(new Set(shown), new Set(["offer"]));
    await messages.filter({ visible: true }).first().locator("summary").click();
    assert.match(await messages.filter({ visible: true }).first().innerText(), /\nm=application/);

    await page.getByRole("button", { name: "Disconnect", exact: true }).first().click();
    await page.getByRole("button", { name: "Connect both" }).waitFor();
  },
);

testInBrowser(
  "the page is Chinese in a Chinese browser, without a line of English",
  async (browser) => {
    await using server = startServer(forgetful);
    const page = await browser.open(server.httpUrl, { locale: "zh-CN" });
    await page.getByRole("button", { name: "连接两端" }).click();
    await isTalking(
      page.getByRole("region", { name: "第一端的 ID" }),
      page.getByRole("region", { name: "第二端的 ID" }),
    );
    await page.getByRole("status").getByText("已直接连接").waitFor({ state: "attached" });
    await page.getByRole("button", { name: "检查 ICE 服务器" }).click();
    await page.locator("#ice").getByText("没有下发").waitFor();
    await page.getByLabel("另一台设备").check();
    assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN");
    const english = await page.evaluate(() => {
      const lines: string[] = [];
      const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) {
        if (node.parentElement!.closest("code, noscript, #messages")) continue;
        if (/[a-z]{2,} [a-z]{2,}/i.test(node.nodeValue!)) lines.push(node.nodeValue!);
      }
      return lines;
    });
    assert.deepEqual(english, []);
    await assertAccessible(page);
  },
);

testInBrowser(
  "the page says that the other side has hung up, and the focus stays on a button",
  async (browser) => {
    await using server = startServer(forgetful);
    const page = await browser.open(server.httpUrl);
    const [alice, bob] = await connectBoth(page);
    await alice.getByRole("button", { name: "Hang up" }).press("Enter");
    assert.equal(await page.locator(":focus").textContent(), "Call");
    const aliceId = await alice.getByLabel("ID of the first peer").inputValue();
    await bob.getByRole("log").getByText(`${aliceId} has hung up.`).waitFor();
    const border = (name: string) =>
      bob.getByRole("button", { name, exact: true })
        .evaluate((button) => getComputedStyle(button).borderTopColor);
    assert.equal(await border("Hang up"), "rgba(0, 0, 0, 0)");
    assert.notEqual(await border("Call"), await border("Hang up"));
    await alice.getByRole("button", { name: "Call", exact: true }).press("Enter");
    assert.equal(await page.locator(":focus").textContent(), "Hang up");
    await isTalking(alice, bob);
  },
);

testInBrowser("an outage is announced once, however many attempts fail", async (browser) => {
  const first = startServer(forgetful);
  const page = await browser.open(first.httpUrl);
  await panel(page, "first").getByRole("button", { name: "Connect", exact: true }).click();
  await page.locator("[data-state=signaling][data-value=registered]").waitFor();
  await page.evaluate(() => {
    const said: string[] = [];
    Object.assign(globalThis, { said });
    const observer = new MutationObserver(([change]) => {
      const text = change!.target.textContent;
      if (text) said.push(text);
    });
    for (const element of document.querySelectorAll("[role=alert], [role=status]")) {
      observer.observe(element, { childList: true, characterData: true, subtree: true });
    }
  });
  await first.server.drain();
  // The client looks for the reason after its third failed attempt.
  await page.getByRole("alert").getByText("There is no answer from").waitFor();
  const said = await page.evaluate(() => (globalThis as unknown as { said: string[] }).said);
  assert.equal(said.length, 2, said.join("\n"));
  assert.equal(said[0], "The server cannot be reached.");
  await using _second = startServer({ port: String(first.server.address.port), ...forgetful });
  await page.locator("[data-state=signaling][data-value=registered]").waitFor();
  await page.getByRole("alert").first().waitFor({ state: "hidden" });
});

testInBrowser("a peer whose tab was closed is not shown as connected for long", async (browser) => {
  await using server = startServer(forgetful);
  const host = await browser.open(server.httpUrl);
  await host.getByLabel("another device").check();
  await host.getByRole("button", { name: "Connect", exact: true }).first().click();
  const link = await host.getByRole("textbox", { name: "Link" }).inputValue();
  const guest = await browser.open(link);
  await isTalking(panel(host, "first"), panel(guest, "second"));
  await host.locator("#map[data-direct=connected]").waitFor();
  await guest.context().close();
  await host.locator("#map:not([data-direct=connected])").waitFor();
});

testInBrowser("the page shows programs for other servers what to connect to", async (browser) => {
  await using server = startServer(forgetful);
  const page = await browser.open(server.httpUrl);
  const { port } = server.server.address;
  assert.deepEqual(await page.locator(".dialects [data-address]").allTextContents(), [
    `new Peer(id, { host: "127.0.0.1", port: ${port}, path: "/", secure: false })`,
    `new WebrtcProvider(room, doc, { signaling: ["ws://127.0.0.1:${port}"] })`,
    `joinRoom({ appId, relayConfig: { urls: ["ws://127.0.0.1:${port}"] } }, room)`,
    `client -w 127.0.0.1 -x ${port}`,
  ]);
});

testInBrowser("video goes from peer to peer, drawn if there is no camera", async (browser) => {
  await using server = startServer(forgetful);
  const page = await browser.open(server.httpUrl);
  const [alice, bob] = await connectBoth(page);
  await alice.getByRole("button", { name: "Send video" }).click();
  const picture = bob.locator("video").first();
  const width = await picture.evaluate((video: HTMLVideoElement) =>
    new Promise((resolve) => video.requestVideoFrameCallback(() => resolve(video.videoWidth)))
  );
  assert.ok(Number(width) > 0);
  await alice.getByRole("button", { name: "Stop video" }).click();
  await picture.waitFor({ state: "hidden" });
  await chat(alice, bob);
});

testInBrowser(
  "another device joins by the link, reloads in mid-call, and is back",
  async (browser) => {
    await using server = startServer();
    const host = await browser.open(server.httpUrl);
    await host.getByLabel("Room").fill("lobby");
    await host.getByLabel("another device").check();
    await host.getByRole("button", { name: "Connect", exact: true }).first().click();
    const link = await host.getByRole("textbox", { name: "Link" }).inputValue();
    assert.equal(await host.getByRole("img", { name: "QR code" }).count(), 0); // of no use to others
    // Another name of this machine, which could be one that others can reach.
    const named = await browser.open(server.httpUrl.replace("127.0.0.1", "signalbox.localhost"));
    await named.getByLabel("another device").check();
    const isDrawn = await named.getByRole("img", { name: "QR code" }).evaluate((canvas) =>
      (canvas as HTMLCanvasElement).getContext("2d")!.getImageData(0, 0, 40, 40).data.some(Boolean)
    );
    assert.ok(isDrawn);

    const guest = await browser.open(link);
    const [alice, bob] = [panel(host, "first"), panel(guest, "second")];
    await isTalking(alice, bob);
    await chat(alice, bob);
    await guest.reload();
    await bob.locator("[data-state=signaling][data-value=registered]").waitFor();
    await isTalking(bob);
    await chat(bob, alice);
    const bobId = await bob.getByLabel("ID of the second peer").inputValue();
    assert.ok(server.events.lines.includes(`detached ${bobId}`));
    assert.equal(server.events.lines.includes(`unregistered ${bobId}`), false);

    for (const page of [guest, host]) {
      await page.getByRole("button", { name: "Disconnect", exact: true }).first().click();
    }
    const aliceId = await alice.getByLabel("ID of the first peer").inputValue();
    await server.events.happened(`unregistered ${bobId}`);
    await server.events.happened(`unregistered ${aliceId}`);
  },
);

testInBrowser(
  "the server restarts in mid-call: the page says so, and the call goes on",
  async (browser) => {
    const first = startServer(forgetful);
    const page = await browser.open(first.httpUrl);
    const [alice, bob] = await connectBoth(page);
    await first.server.drain();
    await alice.getByText("The call goes on meanwhile.").waitFor();
    await chat(alice, bob);
    await using _second = startServer({ port: String(first.server.address.port), ...forgetful });
    for (const panel of [alice, bob]) {
      await panel.locator("[data-state=signaling][data-value=registered]").waitFor();
    }
    await alice.getByText("The call goes on meanwhile.").waitFor({ state: "hidden" });
    await chat(alice, bob);
  },
);

testInBrowser(
  "a wrong token is explained, and the right one can be given at once",
  async (browser) => {
    const secret = "0123456789abcdef0123456789abcdef";
    await using server = startServer({ authSecrets: secret, ...forgetful }, {
      authenticator: await createAuthenticator([secret], undefined),
    });
    const page = await browser.open(server.httpUrl);
    const alice = panel(page, "first");
    await alice.getByLabel("ID of the first peer").fill("alice");
    await alice.getByRole("button", { name: "Connect", exact: true }).click();
    await alice.getByRole("alert").getByText("signalbox token --client-id alice").waitFor();

    const field = alice.getByLabel("Token");
    await field.fill("not.a.token");
    await field.press("Enter");
    await page.locator("#messages strong").getByText("error").nth(1).waitFor();
    await alice.getByRole("alert").getByText("signalbox token --client-id alice").waitFor();

    const token = await signToken({ secret, clientId: "alice", room: undefined, ttlMs: 60_000 });
    await field.fill(token);
    await field.press("Enter");
    await alice.locator("[data-state=signaling][data-value=registered]").waitFor();
    await alice.getByRole("alert").waitFor({ state: "hidden" });
    assert.equal((await page.locator("#messages").textContent())!.includes(token), false);
  },
);

testInBrowser("the page says which ICE servers answer, and which do not", async (browser) => {
  if (isTurnMissing()) return;
  const secret = "shared with the TURN server";
  await using turn = await TurnServer.start(secret);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  const closed = `turn:127.0.0.1:${listener.addr.port}?transport=tcp`;
  const stun = turn.url.replace("turn:", "stun:").replace(/\?.*/, "");
  const check = async (turnSecret: string, ...iceServers: readonly string[]) => {
    const given = { iceServers: iceServers.join(), turnSecret, ...forgetful };
    await using server = startServer(given);
    const page = await browser.open(server.httpUrl);
    const button = page.getByRole("button", { name: "Check the ICE servers" });
    assert.ok(await button.isDisabled());
    await page.getByRole("button", { name: "Connect both" }).click();
    await button.click();
    const rows = page.locator("#ice li");
    await page.locator("#ice button:enabled").waitFor();
    return await rows.allTextContents();
  };
  const [[host, reflexive, relay, away], [, refused]] = await Promise.all([
    check(secret, stun, turn.url, closed),
    check("another one", turn.url),
  ]);
  assert.match(host!, /^✓hostthis deviceOwn addresses: \d+\.$/);
  assert.match(reflexive!, /^[✓–]srflxstun:127\.0\.0\.1:\d+/); // there is no NAT on loopback
  assert.match(relay!, /^✓relayturn:127\.0\.0\.1:\d+\?transport=udpAnswers: it relays at 127\./);
  assert.match(away!, /^✗relayturn:.*Does not answer/);
  assert.match(refused!, /^✗relayturn:.*Refuses the credentials \(401\)/);
});

testInBrowser(
  "the page works with the keyboard alone, and says aloud what happens",
  async (browser) => {
    await using server = startServer(forgetful);
    const page = await browser.open(server.httpUrl);
    const button = page.getByRole("button", { name: "Connect both" });
    for (let presses = 0; presses < 6; presses++) {
      await page.keyboard.press("Tab");
      if (await button.evaluate((element) => element === document.activeElement)) break;
    }
    await page.keyboard.press("Enter");
    await page.getByRole("status").getByText("are connected directly").waitFor({
      state: "attached",
    });
  },
);

for (const colorScheme of ["light", "dark"] as const) {
  testInBrowser(`the page has no barriers that axe finds, ${colorScheme}`, async (browser) => {
    await using server = startServer(forgetful);
    const page = await browser.open(server.httpUrl, { colorScheme });
    await assertAccessible(page);
    await chat(...await connectBoth(page));
    await page.locator("#messages summary").first().click();
    await assertAccessible(page);
    await page.getByLabel("another device").check();
    await assertAccessible(page);
  });
}

testInBrowser("the page fits a narrow screen", async (browser) => {
  await using server = startServer(forgetful);
  const page = await browser.open(server.httpUrl, { viewport: { width: 320, height: 700 } });
  await connectBoth(page);
  await page.locator("#messages summary").first().click();
  const { scrollWidth, clientWidth } = await page.evaluate(() => document.documentElement);
  assert.equal(scrollWidth, clientWidth);
});
