/** The types and the package of the JavaScript client, as programs of other people use them. */

import assert from "node:assert/strict";
import { startServer } from "../helpers/server.ts";
import { hasCommand, isMissing } from "../helpers/tools.ts";

const FOLDER = new URL("../../lib/web/clients/", import.meta.url).pathname;
const ROOT = new URL("../../", import.meta.url);

/** Uses every part of the interface; strict compilers must accept it. */
const PROGRAM = `
import {
  connect,
  resumeIn,
  type ConnectOptions,
  type ResumeStore,
  SignalingError,
} from "signalbox-client";

const items = new Map<string, string>();
const store: ResumeStore = resumeIn({
  getItem: (key) => items.get(key) ?? null,
  setItem: (key, value) => void items.set(key, value),
  removeItem: (key) => void items.delete(key),
}, "call");
const options: ConnectOptions = { clientId: "alice", room: "lobby", presence: true, resume: store, token: async () => "t" };
const signaling = connect("wss://signal.example.org", options);
const stop: () => void = signaling.on("message", (message, event) => {
  const from: string = message.from;
  signaling.send({ type: "echo", to: from }, from);
  event.preventDefault();
});
signaling.on("statechange", ({ state, delayMs }) => console.log(state satisfies string, delayMs ?? 0));
signaling.on("error", (error) => console.log(error instanceof SignalingError, error.code, error.targetId?.length));
signaling.on("joined", ({ clientId }) => console.log(clientId, signaling.peers.size));
signaling.on("call", ({ peerId, accept, refuse }) => (peerId === "bob" ? accept({ polite: true }) : refuse()));
// @ts-expect-error there is no such event
signaling.on("joind", () => {});
// @ts-expect-error the ID is required
connect("wss://signal.example.org", { room: "lobby" });
const ms: Promise<number> = signaling.ping();
ms.then(stop, stop);
signaling.hangUp("bob");
signaling.close();
`;

/** Uses what only browsers have. */
const BROWSER_PROGRAM = `
import { connect, resumeIn } from "signalbox-client";

const signaling = connect("./", { clientId: "alice", resume: resumeIn(sessionStorage, "call") });
const connection: RTCPeerConnection = signaling.peer("bob", {
  configuration: { iceServers: [...signaling.iceServers], iceTransportPolicy: "relay" } satisfies RTCConfiguration,
});
connection.ontrack = ({ streams }) => console.log(streams.length);
signaling.on("call", ({ accept, replaces }) => {
  const channel: RTCDataChannel = accept().createDataChannel("chat");
  channel.send(replaces?.connectionState ?? "");
});
`;

/** Passes the WebSocket of npm's ws without a cast. */
const NODE_PROGRAM = `
import { connect } from "signalbox-client";
import { WebSocket } from "ws";

connect("ws://localhost:8765", { clientId: "alice", WebSocket });
`;

async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const options = { args, cwd, env: { NO_COLOR: "1" } };
  const { success, stdout, stderr } = await new Deno.Command(command, options).output();
  const decoder = new TextDecoder();
  const printed = decoder.decode(stdout) + decoder.decode(stderr);
  assert.ok(success, `${command} ${args.join(" ")}: ${printed}`);
  return printed;
}

function tsc(cwd: string, ...args: string[]): Promise<string> {
  return run(cwd, Deno.execPath(), "run", "-A", "--no-config", "npm:typescript@5.9.3/tsc", ...args);
}

/** Runs a test in a folder of its own. */
async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "signalbox-client-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function write(folder: string, files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${folder}/${name}`, text);
  }
}

async function config(): Promise<{ version: string; tasks: { types: { command: string } } }> {
  return JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
}

Deno.test("client.d.ts is what `deno task types` makes of client.js", async () => {
  const { tasks } = await config();
  await inFolder(async (folder) => {
    const command = tasks.types.command.replace(/--outDir .*/, `--outDir ${folder}`);
    const [program, ...args] = command.split(" ");
    assert.equal(program, "deno");
    await run(ROOT.pathname, Deno.execPath(), ...args);
    const made = await Deno.readTextFile(`${folder}/client.d.ts`);
    assert.equal(await Deno.readTextFile(`${FOLDER}client.d.ts`), made, "run deno task types");
  });
});

const lacksNpm = isMissing(hasCommand("npm") && hasCommand("node"), "node and npm");

Deno.test({
  name:
    "npm pack makes a package that strict TypeScript and Vite accept, and that runs in Node and Bun",
  ignore: lacksNpm,
  async fn() {
    await inFolder(async (folder) => {
      const { version } = await config();
      const packed = await run(folder, "npm", "pack", "--silent", FOLDER);
      assert.equal(packed.trim(), `signalbox-client-${version}.tgz`);
      await write(folder, {
        "package.json": `{"private":true,"type":"module"}`,
        "program.ts": PROGRAM,
        "browser.ts": BROWSER_PROGRAM,
        "node.ts": NODE_PROGRAM,
        "index.html": `<script type="module" src="./browser.ts"></script>`,
        "run.js": RUN_IN_NODE,
      });
      const packages = ["ws@8", "@types/ws@8", "@types/node@20", "vite@8", "bun@1"];
      await run(folder, "npm", "install", "--silent", `./${packed.trim()}`, ...packages);
      const strict = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022"];
      const node = [...strict, "--module", "nodenext", "--lib", "es2022", "--types", "node"];
      await tsc(folder, "program.ts", "node.ts", ...node);
      const bundled = [...strict, "--module", "esnext", "--moduleResolution", "bundler"];
      const browser = ["--lib", "es2022,dom,dom.iterable"];
      await tsc(folder, "program.ts", "browser.ts", ...bundled, ...browser);
      await tsc(folder, "program.ts", ...bundled, "--lib", "es2022,webworker");
      await run(folder, "node_modules/.bin/vite", "build");
      const [built] = [...Deno.readDirSync(`${folder}/dist/assets`)];
      assert.match(
        await Deno.readTextFile(`${folder}/dist/assets/${built!.name}`),
        /peers_changed/,
      );
      await using server = startServer();
      for (const runtime of ["node", "node_modules/.bin/bun"]) {
        assert.equal(await run(folder, runtime, "run.js", server.url), "echo: hello\n");
      }
    });
  },
});

/** Fails to connect once, then exchanges a message with itself. Node 20 has no WebSocket. */
const RUN_IN_NODE = `
import { connect } from "signalbox-client";
import * as ws from "ws";
const WebSocket = globalThis.WebSocket ?? ws.WebSocket;
const lost = connect("ws://127.0.0.1:9", { clientId: "alice", WebSocket });
lost.on("statechange", ({ state }) => {
  if (state !== "waiting") return;
  lost.close();
  const signaling = connect(process.argv[2], { clientId: "node", WebSocket });
  signaling.on("message", ({ type, text }) => {
    console.log(type + ": " + text);
    signaling.close();
  });
  signaling.send({ type: "echo", text: "hello" }, "node");
});
`;

Deno.test("the client runs and has its types in Deno, by its address", async () => {
  await using server = startServer();
  await inFolder(async (folder) => {
    const address = `${server.httpUrl}/client.js`;
    await write(folder, {
      "program.ts": PROGRAM.replace(`"signalbox-client"`, `"${address}"`),
      "run.ts": `
        import { connect } from "${address}";
        const signaling = connect("${server.url}", { clientId: "deno" });
        signaling.on("statechange", async ({ state }) => {
          if (state !== "registered") return;
          const ms: number = await signaling.ping();
          console.log(ms >= 0 ? "pong" : ms);
          signaling.close();
        });`,
    });
    const reload = ["--no-config", `--reload=${server.httpUrl}`, "--allow-import"];
    await run(folder, Deno.execPath(), "check", ...reload, "program.ts");
    const permissions = ["--allow-net", "--check", ...reload];
    const printed = await run(folder, Deno.execPath(), "run", ...permissions, "run.ts");
    assert.match(printed, /^pong$/m);
  });
});

Deno.test("a copy of the client works in strict TypeScript, with its types beside it", async () => {
  await inFolder(async (folder) => {
    for (const name of ["client.js", "client.d.ts"]) {
      await Deno.copyFile(`${FOLDER}${name}`, `${folder}/${name}`);
    }
    await write(folder, {
      "program.ts": PROGRAM.replace("signalbox-client", "./client.js"),
      "browser.ts": BROWSER_PROGRAM.replace("signalbox-client", "./client.js"),
    });
    const strict = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext"];
    await tsc(folder, "program.ts", "browser.ts", ...strict, "--lib", "es2022,dom,dom.iterable");
  });
});
