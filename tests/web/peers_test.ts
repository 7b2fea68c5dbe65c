/// <reference lib="dom" />

/** The JavaScript client in Chromium: peer connections between real pages, in any order of events. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { Signaling } from "../../lib/web/clients/client.js";
import { type TestBrowser, testInBrowser } from "../helpers/chromium.ts";
import { TestClient } from "../helpers/client.ts";
import { startServer } from "../helpers/server.ts";
import { UdpRelay } from "../helpers/udp_relay.ts";

/** Options of servers that store nothing, so that a test may end before its clients are forgotten. */
const forgetful = { resumeTtlMs: "0", mailboxTtlMs: "0" };

/** The page of these tests; what happens in it is recorded, and awaited by that. */
interface Lab {
  readonly seen: string[];
  readonly client: typeof import("../../lib/web/clients/client.js");
  /** Values that one step leaves to the next. */
  pair?: Signaling[];
  connection?: RTCPeerConnection;
  /** The connection of the last call that was taken. */
  taken?: RTCPeerConnection;
  connect(clientId: string, options?: Record<string, unknown>): Signaling;
  /** Calls, and says hello once it can. */
  greet(signaling: Signaling, peerId: string): RTCPeerConnection;
  /** Writes down what comes over the channels of a connection, and answers a hello. */
  attend(connection: RTCPeerConnection): void;
  /** Gives all IDs up, so that the server holds none of them when the test ends. */
  leave(): void;
}

declare const lab: Lab;

/** The members of an entry of getStats() that tests use. */
interface Stats {
  readonly type: string;
  readonly candidateType?: string;
}

/** Opens a page with the client at hand. It is not the server's own page: that one has tests of its own. */
async function openLab(browser: TestBrowser, httpUrl: string): Promise<Page> {
  const page = await browser.open(`${httpUrl}/healthz`);
  await installLab(page);
  return page;
}

async function installLab(page: Page): Promise<void> {
  await page.evaluate(async (path: string) => {
    const client: typeof import("../../lib/web/clients/client.js") = await import(path);
    const seen: string[] = [];
    const listen = (channel: RTCDataChannel) => {
      channel.onmessage = ({ data }) => {
        seen.push(`data ${data}`);
        if (data.startsWith("hello ")) channel.send(`welcome ${data.slice(6)}`);
      };
    };
    const all: Signaling[] = [];
    const lab: Lab = {
      seen,
      client,
      connect(clientId, options = {}) {
        const signaling = client.connect("/", { clientId, ...options });
        all.push(signaling);
        signaling.on("statechange", ({ state }) => {
          seen.push(`${clientId} ${state}${signaling.resumed ? " as before" : ""}`);
        });
        signaling.on("error", ({ code, message }) => void seen.push(`error ${code} ${message}`));
        signaling.on("ended", ({ peerId }) => void seen.push(`ended ${peerId}`));
        signaling.on("frame", ({ direction, text }) => {
          seen.push(`${clientId} ${direction} ${JSON.parse(text).type}`);
        });
        signaling.on("call", ({ peerId, replaces, accept }) => {
          seen.push(`call ${peerId}${replaces ? " again" : ""}`);
          lab.taken = accept();
          lab.attend(lab.taken);
        });
        return signaling;
      },
      greet(signaling, peerId) {
        const connection = signaling.peer(peerId);
        const channel = connection.createDataChannel("chat");
        listen(channel);
        lab.attend(connection);
        channel.onopen = () => channel.send(`hello ${signaling.clientId}`);
        return connection;
      },
      attend(connection) {
        connection.ondatachannel = ({ channel }) => listen(channel);
      },
      leave: () => all.forEach((signaling) => signaling.close()),
    };
    Object.assign(globalThis, { lab });
  }, "/client.js");
}

async function seen(page: Page, ...lines: string[]): Promise<void> {
  for (const line of lines) {
    try {
      await page.waitForFunction((line) => lab.seen.includes(line), line);
    } catch (cause) {
      const all = await page.evaluate(() => lab.seen);
      throw new Error(`"${line}" was not seen, but:\n${all.join("\n")}`, { cause });
    }
  }
}

/** Leaves out connect_failed: the number of attempts that a restart of the server takes depends on the machine. */
async function assertNoErrors(...pages: Page[]): Promise<void> {
  for (const page of pages) {
    const lines = await page.evaluate(() => lab.seen);
    assert.deepEqual(lines.filter((line) => /^error (?!connect_failed)/.test(line)), []);
  }
}

testInBrowser("Signaling.peer() connects two pages, and data goes both ways", async (browser) => {
  await using server = startServer();
  const alice = await openLab(browser, server.httpUrl);
  const bob = await openLab(browser, server.httpUrl);
  await bob.evaluate(() => void lab.connect("bob"));
  await seen(bob, "bob registered");
  await alice.evaluate(() => void lab.greet(lab.connect("alice"), "bob"));
  await seen(bob, "data hello alice");
  await seen(alice, "data welcome alice");
  await assertNoErrors(alice, bob);
});

testInBrowser(
  "Signaling.peer() resolves glare: both call at once, and both channels open",
  async (browser) => {
    await using server = startServer();
    const page = await openLab(browser, server.httpUrl);
    await letOffersCross(page);
    await page.evaluate(() => {
      lab.greet(lab.connect("alice"), "bob");
      lab.greet(lab.connect("bob"), "alice");
    });
    await seen(page, "data welcome alice", "data welcome bob");
    const lines = await page.evaluate(() => lab.seen);
    const firstOffers = lines.filter((line) => line.endsWith("offer")).slice(0, 2);
    assert.deepEqual(firstOffers.sort(), ["alice out offer", "bob out offer"]);
    assert.deepEqual(lines.filter((line) => line.startsWith("call")), []);
    await assertNoErrors(page);
  },
);

/** Holds up what comes from the server, from the first offer on each connection, until there are two. */
async function letOffersCross(page: Page): Promise<void> {
  const held: (() => void)[][] = [];
  await page.routeWebSocket(/./, (socket) => {
    const server = socket.connectToServer();
    let queue: (() => void)[] | null = null;
    server.onMessage((text) => {
      if (queue === null && JSON.parse(String(text)).type === "offer") held.push(queue = []);
      if (queue === null || held.length > 2) return socket.send(text);
      queue.push(() => socket.send(text));
      if (held.length < 2) return;
      for (const deliver of held.flat()) deliver();
      held.push([]); // from now on nothing is held up
    });
  });
  await page.reload();
  await installLab(page);
}

testInBrowser("Signaling.peer() before there is a server waits for it", async (browser) => {
  const first = startServer();
  const page = await openLab(browser, first.httpUrl);
  await first.server.drain();
  await page.evaluate(() => {
    lab.connect("bob");
    lab.greet(lab.connect("alice"), "bob");
  });
  await seen(page, "alice waiting");
  await using _second = startServer({ port: String(first.server.address.port) });
  await seen(page, "data welcome alice");
  await assertNoErrors(page);
});

testInBrowser(
  "a call goes on while the server restarts, and signaling comes back",
  async (browser) => {
    const first = startServer({ resumeTtlMs: "0" });
    const page = await openLab(browser, first.httpUrl);
    await page.evaluate(() => {
      lab.connect("bob", { resume: true });
      lab.connection = lab.greet(lab.connect("alice", { resume: true }), "bob");
    });
    await seen(page, "data welcome alice");
    await first.server.drain();
    await seen(page, "alice waiting");
    await page.evaluate(() => {
      // A second channel needs no signaling; a transceiver does, and has to wait for it.
      const channel = lab.connection!.createDataChannel("second");
      channel.onopen = () => channel.send("hello meanwhile");
      lab.connection!.addTransceiver("audio");
    });
    await seen(page, "data hello meanwhile");
    await page.evaluate(() => void (lab.seen.length = 0));
    await using second = startServer({ port: String(first.server.address.port) });
    await seen(page, "alice registered", "alice in answer");
    const after = await page.waitForFunction(() => {
      const { currentRemoteDescription, connectionState } = lab.connection!;
      return currentRemoteDescription?.sdp.includes("m=audio") && connectionState;
    });
    assert.equal(await after.jsonValue(), "connected");
    const lines = await page.evaluate(() => lab.seen);
    assert.deepEqual(lines.filter((line) => line.startsWith("call")), []);
    await assertNoErrors(page);
    await page.evaluate(() => lab.leave());
    await second.events.happened("unregistered alice");
    await second.events.happened("unregistered bob");
  },
);

testInBrowser(
  "a page that is loaded again resumes its ID, and takes the call up anew",
  async (browser) => {
    await using server = startServer();
    const alice = await openLab(browser, server.httpUrl);
    const bob = await openLab(browser, server.httpUrl);
    const join = () =>
      bob.evaluate(() => {
        const resume = lab.client.resumeIn(sessionStorage, "bob");
        lab.greet(lab.connect("bob", { resume }), "alice");
      });
    await alice.evaluate(() => void lab.connect("alice"));
    await seen(alice, "alice registered");
    await join();
    await seen(bob, "bob registered", "data welcome bob");

    await bob.reload();
    await server.events.happened("detached bob");
    await alice.evaluate(() => void (lab.seen.length = 0));
    await installLab(bob);
    await join();
    await seen(bob, "bob registered as before", "data welcome bob");
    await seen(alice, "call bob again", "data hello bob");
    assert.equal(server.events.lines.includes("unregistered bob"), false);
    await assertNoErrors(alice, bob);
    await bob.evaluate(() => lab.leave());
    await server.events.happened("unregistered bob");
  },
);

testInBrowser("an ICE failure leads to a restart, with the call kept", async (browser) => {
  await using server = startServer();
  const page = await openLab(browser, server.httpUrl);
  await page.evaluate(() => {
    lab.connect("bob");
    lab.connection = lab.greet(lab.connect("alice"), "bob");
  });
  await seen(page, "data welcome alice");
  const restarted = await page.evaluate(async () => {
    const connection = lab.connection!;
    const name = () => /a=ice-ufrag:(.*)/.exec(connection.currentLocalDescription!.sdp)![1];
    const before = name();
    // A browser takes half a minute to notice a failure, so this one is only pretended.
    Object.defineProperty(connection, "connectionState", { value: "failed", configurable: true });
    connection.dispatchEvent(new Event("connectionstatechange"));
    Reflect.deleteProperty(connection, "connectionState");
    await new Promise<void>((resolve) => {
      connection.addEventListener("signalingstatechange", () => {
        if (connection.signalingState === "stable") resolve();
      });
    });
    return { isNew: name() !== before, state: connection.connectionState };
  });
  assert.deepEqual(restarted, { isNew: true, state: "connected" });
  await assertNoErrors(page);
});

testInBrowser(
  "the called side finds a new path after a cut, also without the caller's help",
  async (browser) => {
    await using server = startServer(forgetful);
    await using relay = new UdpRelay();
    const page = await openLab(browser, server.httpUrl);
    await page.routeWebSocket(/./, (socket) => {
      const upstream = socket.connectToServer();
      let last = Promise.resolve();
      upstream.onMessage((text) => {
        last = last.then(() => relay.rewrite(String(text))).then((rewritten) => {
          if (rewritten !== null) socket.send(rewritten);
        });
      });
    });
    await page.reload();
    await installLab(page);
    await page.evaluate(() => {
      lab.connect("bob");
      lab.connection = lab.greet(lab.connect("alice"), "bob");
      lab.connection.restartIce = () => {};
    });
    await seen(page, "data welcome alice");
    relay.isCut = true;
    const timeout = 60_000; // Chromium takes half a minute to call a path failed
    await page.waitForFunction(() => lab.taken!.connectionState === "failed", null, { timeout });
    relay.isCut = false;
    await page.waitForFunction(
      () => [lab.connection!, lab.taken!].every((end) => end.connectionState === "connected"),
      null,
      { timeout },
    );
    await page.evaluate(() => {
      lab.seen.length = 0;
      const channel = lab.taken!.createDataChannel("after");
      channel.onopen = () => channel.send("hello again");
    });
    await seen(page, "data hello again");
    await assertNoErrors(page);
  },
);

testInBrowser("Signaling works in a worker, without peer connections", async (browser) => {
  await using server = startServer(forgetful);
  const page = await openLab(browser, server.httpUrl);
  const echo = await page.evaluate(async () => {
    const source = `
      import { connect } from "${location.origin}/client.js";
      const signaling = connect("${location.origin}", { clientId: "worker" });
      signaling.on("message", ({ text }) => postMessage(text));
      signaling.send({ text: "hello" }, "worker");`;
    const blob = new Blob([source], { type: "text/javascript" });
    const worker = new Worker(URL.createObjectURL(blob), { type: "module" });
    return await new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
  });
  assert.equal(echo, "hello");
});

testInBrowser(
  "a page that ends hangs up and gives its ID up, unless a reload can resume it",
  async (browser) => {
    await using server = startServer();
    const alice = await openLab(browser, server.httpUrl);
    const bob = await openLab(browser, server.httpUrl);
    await alice.evaluate(() => void lab.connect("alice"));
    await seen(alice, "alice registered");
    await bob.evaluate(() => void lab.greet(lab.connect("bob", { resume: true }), "alice"));
    await seen(bob, "data welcome bob");
    await bob.reload();
    await seen(alice, "ended bob");
    await server.events.happened("unregistered bob");
    assert.equal(server.events.lines.includes("detached bob"), false);
    await alice.evaluate(() => lab.leave());
    await server.events.happened("unregistered alice");
  },
);

testInBrowser(
  "Signaling.hangUp() ends the call at both ends, and the next call is a new one",
  async (browser) => {
    await using server = startServer();
    const page = await openLab(browser, server.httpUrl);
    await page.evaluate(() => {
      lab.connect("bob");
      const alice = lab.connect("alice");
      lab.connection = lab.greet(alice, "bob");
      lab.pair = [alice];
    });
    await seen(page, "call alice", "data welcome alice");
    const state = await page.evaluate(() => {
      lab.pair![0]!.hangUp("bob");
      return lab.connection!.connectionState;
    });
    assert.equal(state, "closed");
    await seen(page, "ended alice");
    await page.evaluate(() => {
      lab.seen.length = 0;
      lab.greet(lab.pair![0]!, "bob");
    });
    await seen(page, "call alice", "data welcome alice");
    await assertNoErrors(page);
  },
);

testInBrowser(
  "a peer that speaks the core protocol only can call, its candidates first",
  async (browser) => {
    await using server = startServer();
    const page = await openLab(browser, server.httpUrl);
    await page.evaluate(() => void lab.connect("alice"));
    await seen(page, "alice registered");
    await page.evaluate(async () => {
      const connection = new RTCPeerConnection();
      const channel = connection.createDataChannel("chat");
      channel.onopen = () => channel.send("hello core");
      channel.onmessage = ({ data }) => lab.seen.push(`core got ${data}`);
      const candidates: object[] = [];
      connection.onicecandidate = ({ candidate }) =>
        void (candidate && candidates.push(candidate.toJSON()));
      const gathered = new Promise<void>((resolve) => {
        connection.onicegatheringstatechange = () => {
          if (connection.iceGatheringState === "complete") resolve();
        };
      });
      await connection.setLocalDescription();
      await gathered;
      const socket = new WebSocket(location.origin.replace("http", "ws"));
      socket.onopen = () => socket.send(JSON.stringify({ type: "register", client_id: "core" }));
      const send = (message: object) =>
        socket.send(JSON.stringify({ ...message, target_id: "alice" }));
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "registered") {
          // One form after the other; then an offer without any candidate in it.
          const [first, ...others] = candidates;
          send({ type: "candidate", ...first });
          for (const candidate of others) send({ type: "candidate", candidate });
          const sdp = connection.localDescription!.sdp.replaceAll(/a=candidate.*\r\n/g, "");
          send({ type: "offer", sdp });
        } else if (message.type === "answer") {
          connection.setRemoteDescription({ type: "answer", sdp: message.sdp });
        } else if (message.type === "candidate") {
          const { candidate, sdpMid, sdpMLineIndex } = message;
          connection.addIceCandidate({ candidate, sdpMid, sdpMLineIndex });
        }
      };
    });
    await seen(page, "call core", "core got welcome core");
    // Without its candidates, the ways to it would be known from its own checks only: as peer-reflexive ones.
    const ways = await page.evaluate(async () => {
      const stats = [...(await lab.taken!.getStats() as Map<string, Stats>).values()];
      const candidates = stats.filter(({ type }) => type === "remote-candidate");
      return candidates.map(({ candidateType }) => candidateType);
    });
    assert.ok(ways.includes("host"), `${ways}`);
    await assertNoErrors(page);
  },
);

testInBrowser("a late candidate of an earlier connection harms no call", async (browser) => {
  await using server = startServer();
  const page = await openLab(browser, server.httpUrl);
  await page.evaluate(() => void lab.connect("alice"));
  await seen(page, "alice registered");
  const earlier = await TestClient.register(server.url, "bob");
  const candidate = "candidate:1 1 udp 1 127.0.0.1 9 typ host";
  earlier.send({
    type: "candidate",
    candidate,
    sdpMid: "0",
    session: "earlier",
    target_id: "alice",
  });
  await seen(page, "alice in candidate");
  await earlier.close();
  await page.evaluate(() => void lab.greet(lab.connect("bob"), "alice"));
  await seen(page, "call bob", "data welcome bob");
  await assertNoErrors(page);
});
