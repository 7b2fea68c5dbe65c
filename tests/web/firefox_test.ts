/// <reference lib="dom" />

/** The JavaScript client in Firefox, whose pages end in another order than Chromium's. */

import assert from "node:assert/strict";
import { isChromiumMissing, TestBrowser } from "../helpers/chromium.ts";
import { type FirefoxPage, isFirefoxMissing, TestFirefox } from "../helpers/firefox.ts";
import { startServer } from "../helpers/server.ts";

const ignore = isFirefoxMissing();

/** Registers as bob, and resolves with whether that resumed a session. */
function register(page: FirefoxPage, resume: string): Promise<string> {
  return page.evaluate(`import("/client.js").then(({ connect, resumeIn }) => {
    globalThis.signaling = connect("/", { clientId: "bob", resume: ${resume} });
    return new Promise((resolve) => signaling.on("statechange", ({ state }) => {
      if (state === "registered") resolve(signaling.resumed);
    }));
  })`);
}

Deno.test({
  name: "a tab of Firefox that closes gives its ID up, and one that is reloaded resumes it",
  ignore,
  async fn() {
    await using server = startServer();
    await using firefox = await TestFirefox.launch();
    const page = await firefox.open(`${server.httpUrl}/nothing`);
    const store = `resumeIn(sessionStorage, "bob")`;
    assert.equal(await register(page, store), "false");
    await page.reload();
    assert.equal(await register(page, store), "true");
    assert.equal(server.events.lines.includes("unregistered bob"), false);
    await page.evaluate("signaling.close()");
    await server.events.happened("unregistered bob");

    const other = await firefox.open(`${server.httpUrl}/nothing`);
    assert.equal(await register(other, "true"), "false");
    const count = (wanted: string) => server.events.lines.filter((line) => line === wanted).length;
    // An unload that a page stops is no goodbye, even if it was stopped by the last listener.
    const stay = `
      const stop = (event) => event.preventDefault();
      addEventListener("beforeunload", stop);
      dispatchEvent(new Event("beforeunload", { cancelable: true }));
      removeEventListener("beforeunload", stop);
      signaling.ping().then((ms) => ms >= 0)`;
    assert.equal(await other.evaluate(stay), "true");
    assert.equal(count("unregistered bob"), 1);
    server.events.lines.length = 0;
    await other.close();
    await server.events.happened("unregistered bob");
    assert.equal(count("detached bob"), 0);
  },
});

Deno.test({
  name: "Firefox and Chromium call each other, and a hang-up reaches the other side",
  ignore: ignore || isChromiumMissing(),
  async fn() {
    await using server = startServer({ resumeTtlMs: "0", mailboxTtlMs: "0" });
    await using firefox = await TestFirefox.launch();
    await using chromium = await TestBrowser.launch();
    const bob = await firefox.open(`${server.httpUrl}/nothing`);
    const alice = await chromium.open(`${server.httpUrl}/nothing`);
    await register(bob, "false");
    await bob.evaluate(`signaling.on("call", ({ accept }) => {
      globalThis.connection = accept();
      connection.ondatachannel = ({ channel }) => channel.onmessage = ({ data }) => channel.send("to " + data);
    }) && ""`);
    const echo = await alice.evaluate(`import("/client.js").then(({ connect }) => {
      globalThis.signaling = connect("/", { clientId: "alice" });
      const channel = signaling.peer("bob").createDataChannel("chat");
      channel.onopen = () => channel.send("alice");
      return new Promise((resolve) => channel.onmessage = ({ data }) => resolve(data));
    })`);
    assert.equal(echo, "to alice");
    const restarted = await bob.evaluate(`new Promise((resolve) => {
      connection.onsignalingstatechange = () => connection.signalingState === "stable" && resolve("stable");
      connection.restartIce(); // the called side
    })`);
    assert.equal(restarted, "stable");
    const ended = bob.evaluate(
      `new Promise((resolve) => signaling.on("ended", ({ peerId }) => resolve(peerId)))`,
    );
    await alice.evaluate(`signaling.hangUp("bob")`);
    assert.equal(await ended, "alice");
    await alice.evaluate("signaling.close()");
    await bob.evaluate("signaling.close()");
  },
});
