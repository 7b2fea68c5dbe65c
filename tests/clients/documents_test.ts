/** The Python and C++ examples of the document about clients, run as printed but for the server's address. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { isChromiumMissing, TestBrowser } from "../helpers/chromium.ts";
import { TestClient } from "../helpers/client.ts";
import { blockUnder, readDocument } from "../helpers/documents.ts";
import { ServingProgram } from "../helpers/program.ts";
import { DEBIAN_PYTHON } from "../helpers/tools.ts";
import { ProgramPeer } from "../interop/peers.ts";
import { isAiortcMissing, isWebsocketsMissing, PythonPath } from "./python.ts";

/** The code of a language under a heading, for a server at another address. */
function printed(heading: string, language: string, address: string): string {
  const code = blockUnder(readDocument("clients"), heading, language);
  return code.replaceAll("localhost:8765", address);
}

/** Runs a program in its own folder, on loopback alone, which aiortc leaves out by itself. */
async function startPrinted(code: string, path: PythonPath): Promise<ProgramPeer> {
  const file = `${path.folder}/printed.py`;
  await Deno.writeTextFile(file, code);
  const onLoopback = "import os, runpy, sys; os.chdir(os.path.dirname(sys.argv[1])); " +
    "import aioice.ice; aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ['127.0.0.1']; " +
    "runpy.run_path(sys.argv[1], run_name='__main__')";
  return new ProgramPeer([DEBIAN_PYTHON, "-c", onLoopback, file], { env: path.env });
}

Deno.test({
  name: "the ten lines of Python to start with answer",
  ignore: isWebsocketsMissing() || isAiortcMissing(),
  async fn() {
    await using server = await ServingProgram.start();
    await using path = await PythonPath.make();
    const { host } = new URL(server.httpUrl);
    await using _echo = await startPrinted(printed("Python", "python", host), path);
    await server.logged("Client registered: echo");
    const client = await TestClient.register(server.url, "bob");
    client.send({ type: "hi", target_id: "echo" });
    const of = { type: "hi", from: "bob" };
    assert.deepEqual(await client.next(), { type: "echo", of, from: "echo" });
    await client.close();
  },
});

Deno.test({
  name: "a robot shows its camera to a page through reloads, restarts and a crash",
  ignore: isAiortcMissing() || isChromiumMissing(),
  async fn() {
    const heading = "A robot that shows its camera";
    let server = await ServingProgram.start();
    const { host, port } = new URL(server.httpUrl);
    await using path = await PythonPath.make();
    const robotCode = printed(heading, "python", host);
    const html = printed(heading, "html", host);
    await using pages = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => new Response(html, { headers: { "content-type": "text/html" } }),
    );
    await using browser = await TestBrowser.launch();

    // The page comes first: it sees the robot when that comes.
    const page = await browser.open(`http://127.0.0.1:${pages.addr.port}/`, {
      permissions: ["camera"], // so that Chromium offers each of the machine's addresses
    });
    const robot = await startPrinted(robotCode, path);
    await pictureMoves(page);
    await page.reload();
    await pictureMoves(page);

    await server[Symbol.asyncDispose]();
    server = await ServingProgram.start(["--port", port]);
    await server.logged("Client registered: robot");
    await server.logged("Client registered: viewer-");
    await pictureMoves(page);

    await rememberCall(page);
    await robot[Symbol.asyncDispose](); // which says goodbye
    const next = await startPrinted(robotCode, path);
    await pictureMoves(page, "anew");

    await rememberCall(page);
    next.kill("SIGKILL");
    await next[Symbol.asyncDispose]();
    await using _last = await startPrinted(robotCode, path);
    await server.logged("Client registered: robot", 3); // at once: its ID is not held against it
    await pictureMoves(page, "anew");
    await server[Symbol.asyncDispose]();
  },
});

/** Notes the call that the page shows, before anything may end it. */
async function rememberCall(page: Page): Promise<void> {
  await page.evaluate(`globalThis.former = document.querySelector("video").srcObject`);
}

/** Resolves once the page's video shows further frames; `anew`: those of a call other than the noted one. */
async function pictureMoves(page: Page, anew?: "anew"): Promise<void> {
  await page.evaluate(`new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("The picture does not move.")), 120_000);
    const video = document.querySelector("video");
    const former = ${anew ? "globalThis.former" : "null"};
    let frames = 0;
    const count = () => {
      if (video.srcObject !== former && ++frames >= 10) resolve();
      else video.requestVideoFrameCallback(count);
    };
    video.requestVideoFrameCallback(count);
  })`);
}
