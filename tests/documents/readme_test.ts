/// <reference lib="dom" />

/** README is one page, and its first exchange goes as it says. */

import assert from "node:assert/strict";
import { isChromiumMissing, TestBrowser } from "../helpers/chromium.ts";
import { TestClient } from "../helpers/client.ts";
import { blocksIn, type Document, readDocument } from "../helpers/documents.ts";
import { Output, ServingProgram } from "../helpers/program.ts";
import { startServer } from "../helpers/server.ts";
import { DEBIAN_PYTHON, isMissing, succeeds } from "../helpers/tools.ts";

const EXAMPLE_URL = "wss://signal.example.org";

const readme = readDocument("README");

const lacksPython = isMissing(
  succeeds(DEBIAN_PYTHON, "-c", "import websockets"),
  "websockets for Python (Debian: python3-websockets)",
);

Deno.test("README is one page: 160 to 180 lines, under 10 KB", () => {
  const lines = readme.text.trimEnd().split("\n").length;
  assert.ok(lines >= 160 && lines <= 180, `${lines} lines`);
  assert.ok(new TextEncoder().encode(readme.text).length < 10_000);
});

Deno.test("README in Chinese shows the same code", () => {
  const chinese = readDocument("zh-CN/README");
  for (const language of ["console", "json", "text"]) {
    assert.deepEqual(blocksIn(chinese, language), blocksIn(readme, language).slice(0, 1));
  }
  const firstExchange = (document: Document) => blocksIn(document, "sh")[1];
  assert.equal(firstExchange(chinese), firstExchange(readme));
});

Deno.test({
  name: "the first exchange goes as README shows it",
  ignore: lacksPython,
  async fn() {
    const code = /^python3 - <<'PYTHON'\n(.*)\nPYTHON$/s.exec(blocksIn(readme, "sh")[1]!)![1]!;
    assert.ok(code.includes("ws://localhost:8765"));
    await using program = await ServingProgram.start();
    const receiver = new Deno.Command(DEBIAN_PYTHON, {
      args: ["-u", "-c", code.replace("ws://localhost:8765", program.url)],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const printed = new Output(receiver.stdout);
    await printed.has("registered");
    const sender = await TestClient.connect(program.url);
    for (const line of blocksIn(readme, "console")[0]!.split("\n").slice(1)) {
      if (line.startsWith("> ")) sender.send(line.slice(2));
      else assert.equal(`< ${await sender.nextText()}`, line);
    }
    await printed.has("offer");
    assert.equal(printed.text.trimEnd(), blocksIn(readme, "json")[0]);
    const lines = blocksIn(readme, "text")[0]!;
    await program.logged(lines);
    await sender.close();
    receiver.kill();
    await Promise.all([receiver.status, printed.whole]);
  },
});

Deno.test({
  name: "README's lines for Python exchange messages",
  ignore: lacksPython,
  async fn() {
    await using server = startServer();
    const folder = await Deno.makeTempDir();
    const response = await fetch(`${server.httpUrl}/client.py`);
    await Deno.writeTextFile(`${folder}/signalbox.py`, await response.text());
    assert.equal(response.status, 200);
    const alice = await TestClient.register(server.url, "alice");
    const robot = new Deno.Command(DEBIAN_PYTHON, {
      args: ["-u", "-c", blocksIn(readme, "python")[0]!.replace(EXAMPLE_URL, server.url)],
      cwd: folder,
      stdout: "piped",
    }).spawn();
    const printed = new Output(robot.stdout);
    assert.deepEqual(await alice.next(), { type: "hello", from: "robot" });
    alice.send({ type: "welcome", target_id: "robot" });
    await printed.has("'type': 'welcome', 'from': 'alice'");
    robot.kill();
    await Promise.all([robot.status, printed.whole, alice.close()]);
    await Deno.remove(folder, { recursive: true });
  },
});

/** Runs the lines that README has for a page, with a drawn picture for the camera. */
async function openVideoPage(browser: TestBrowser, httpUrl: string, clientId: string) {
  const page = await browser.open(`${httpUrl}/healthz`);
  const code = blocksIn(readme, "js")[0]!.replace('"alice"', JSON.stringify(clientId))
    .replace("https://signal.example.org", httpUrl)
    .replace(EXAMPLE_URL, httpUrl.replace("http", "ws"));
  await page.evaluate((code) => {
    document.body.innerHTML = "<video autoplay playsinline muted></video>";
    navigator.mediaDevices.getUserMedia = () => {
      const canvas = document.createElement("canvas");
      const context = canvas.getContext("2d")!;
      setInterval(() => context.fillRect(0, 0, Math.random() * 300, 150), 50);
      return Promise.resolve(canvas.captureStream());
    };
    const script = document.createElement("script");
    script.type = "module";
    script.textContent = `${code}
      globalThis.call = (id) => talk(signaling.peer(id));
      signaling.on("statechange", ({ state }) => document.body.dataset.state = state);`;
    document.head.append(script);
  }, code);
  await page.locator("body[data-state=registered]").waitFor();
  return page;
}

Deno.test({
  name: "README's lines for a page make a video call",
  ignore: isChromiumMissing(),
  async fn() {
    await using server = startServer({ mailboxTtlMs: "0" });
    await using browser = await TestBrowser.launch();
    const alice = await openVideoPage(browser, server.httpUrl, "alice");
    const bob = await openVideoPage(browser, server.httpUrl, "bob");
    await alice.evaluate(() => (globalThis as unknown as { call(id: string): void }).call("bob"));
    for (const page of [alice, bob]) {
      await page.waitForFunction(() => document.querySelector("video")!.videoWidth > 0);
    }
    assert.deepEqual(browser.complaints, []);
  },
});
