/** Exchanges of PeerJS' clients with a server, message by message, on one node or two. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";

/** A server that speaks PeerJS' protocol. */
export interface Subject {
  /** The addresses of two nodes, or twice that of one. */
  readonly urls: readonly [string, string];
  /** True if it is PeerServer, which closes without a code. */
  readonly isReference: boolean;
}

interface Exchange {
  readonly name: string;
  /** The reason for which PeerServer does something else; undefined if it does the same. */
  readonly differs?: string;
  run(subject: Subject): Promise<void>;
}

const OPEN = '{"type":"OPEN"}';

export function open(url: string, query: string, path = "/peerjs"): Promise<TestClient> {
  return TestClient.connect(`${url}${path}?${query}`);
}

/** Connects a peer, and awaits its OPEN. */
export async function join(url: string, id: string, token = "t"): Promise<TestClient> {
  const peer = await open(url, `key=peerjs&id=${encodeURIComponent(id)}&token=${token}`);
  assert.equal(await peer.nextText(), OPEN);
  return peer;
}

/** Asserts that nothing has come since the last message that was awaited, and that all that was sent is handled. */
export async function assertQuiet(peer: TestClient, id: string): Promise<void> {
  peer.send({ type: "ANSWER", dst: id, payload: "last" });
  assert.deepEqual(await peer.next(), { type: "ANSWER", src: id, dst: id, payload: "last" });
}

async function assertRefused(peer: TestClient, text: string, code: number, subject: Subject) {
  assert.equal(await peer.nextText(), text);
  const closed = await peer.closed;
  if (!subject.isReference) assert.equal(closed.code, code);
}

const errorOf = (msg: string) => JSON.stringify({ type: "ERROR", payload: { msg } });

export const EXCHANGES: readonly Exchange[] = [
  {
    name: "a connection without key, token or ID is an ERROR",
    async run(subject) {
      for (
        const query of ["key=peerjs&id=a", "key=peerjs&id=&token=t", "id=a&token=t", "key=&id=a"]
      ) {
        const peer = await open(subject.urls[0], query);
        const message = "No id, token, or key supplied to websocket server";
        await assertRefused(peer, errorOf(message), 1008, subject);
      }
    },
  },
  {
    name: "a wrong key is an ERROR",
    async run(subject) {
      const peer = await open(subject.urls[0], "token=t&id=a&key=other");
      await assertRefused(peer, errorOf("Invalid key provided"), 1008, subject);
    },
  },
  {
    name: "any path that ends in /peerjs will do",
    differs: "its path is an option",
    async run({ urls: [url] }) {
      const peer = await open(url, "version=1.5.5&token=t&id=path&key=peerjs", "/my/app/peerjs");
      assert.equal(await peer.nextText(), OPEN);
      await peer.close();
    },
  },
  {
    name: "an ID that is connected is taken for another token",
    async run(subject) {
      const [url, other] = subject.urls;
      const owner = await join(url, "taken", "own");
      const taken = '{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}';
      for (const node of [url, other]) {
        const peer = await open(node, "key=peerjs&id=taken&token=other");
        await assertRefused(peer, taken, 4409, subject);
      }
      await assertQuiet(owner, "taken");
      await owner.close();
    },
  },
  {
    name: "the same token takes an ID over, and the older connection is closed",
    differs: "it sends no OPEN, and does not close the older connection",
    async run({ urls: [url, other] }) {
      const older = await join(url, "moving", "own");
      const newer = await join(other, "moving", "own");
      const { code, reason } = await older.closed;
      assert.deepEqual([older.unread, code, reason], [0, 4409, "replaced"]);
      const last = await join(url, "moving", "own");
      assert.equal((await newer.closed).code, 4409);
      await assertQuiet(last, "moving");
      await last.close();
    },
  },
  {
    name: "messages go to dst with src, in order, and nothing comes back",
    async run({ urls: [url, other] }) {
      const alice = await join(url, "alice");
      const bob = await join(other, "böb 2");
      for (let n = 0; n < 20; n++) {
        const type = ["OFFER", "CANDIDATE", "ANSWER"][n % 3];
        alice.send({ type, dst: "böb 2", payload: { n }, src: "eve" });
      }
      alice.send({ type: "LEAVE", dst: "böb 2" });
      for (let n = 0; n < 20; n++) {
        const type = ["OFFER", "CANDIDATE", "ANSWER"][n % 3];
        const text = `{"type":"${type}","src":"alice","dst":"böb 2","payload":{"n":${n}}}`;
        assert.equal(await bob.nextText(), text);
      }
      assert.equal(await bob.nextText(), '{"type":"LEAVE","src":"alice","dst":"böb 2"}');
      await assertQuiet(alice, "alice");
      await Promise.all([alice.close(), bob.close()]);
    },
  },
  {
    name: "a payload arrives to the character",
    differs: "it writes the payload anew",
    async run({ urls: [url, other] }) {
      const sender = await join(url, "writer");
      const receiver = await join(other, "__proto__");
      const payload = '{"n":1e400, "n":12345678901234567890,"s":"\\u00e9\\/", "__proto__":null}';
      sender.send(`{"x":1,"payload": ${payload} ,"\\u0064st":"__proto__","type":"OFFER"}`);
      sender.send(new TextEncoder().encode('{"type":"OFFER","dst":"__proto__","payload":[]}'));
      const head = '{"type":"OFFER","src":"writer","dst":"__proto__","payload":';
      assert.equal(await receiver.nextText(), `${head}${payload}}`);
      assert.equal(await receiver.nextText(), `${head}[]}`);
      await Promise.all([sender.close(), receiver.close()]);
    },
  },
  {
    name: "heartbeats and messages of other types are not answered",
    async run({ urls: [url] }) {
      const peer = await join(url, "quiet");
      peer.send({ type: "HEARTBEAT" });
      for (const type of ["OPEN", "offer", "ID-TAKEN", ""]) peer.send({ type, dst: "quiet" });
      peer.send({ type: "OFFER" });
      peer.send({ type: "OFFER", dst: "" });
      await assertQuiet(peer, "quiet");
      await peer.close();
    },
  },
  {
    name: "what is no message of a client is ignored",
    differs: "it passes EXPIRE on, and stops to read after broken JSON",
    async run({ urls: [url] }) {
      const peer = await join(url, "broken");
      for (const text of ["", "nonsense", "[]", "null", '{"type":"OFFER","dst":["broken"]}']) {
        peer.send(text);
      }
      peer.send({ type: "EXPIRE", dst: "broken" });
      peer.send(Uint8Array.of(0xff, 0xfe));
      await assertQuiet(peer, "broken");
      await peer.close();
    },
  },
  {
    name: "a peer that comes late gets what was sent to it, after its OPEN",
    async run({ urls: [url, other] }) {
      const early = await join(url, "early");
      early.send({ type: "OFFER", dst: "late", payload: "first" });
      early.send({ type: "CANDIDATE", dst: "late", payload: "second" });
      early.send({ type: "LEAVE", dst: "late" });
      await assertQuiet(early, "early");
      const late = await join(other, "late");
      assert.equal(
        await late.nextText(),
        '{"type":"OFFER","src":"early","dst":"late","payload":"first"}',
      );
      assert.equal((await late.next()).payload, "second");
      await assertQuiet(late, "late");
      await assertQuiet(early, "early");
      await Promise.all([early.close(), late.close()]);
    },
  },
  {
    name: "each sender gets one EXPIRE for a peer that does not come",
    async run({ urls: [url, other] }) {
      const senders = { one: await join(url, "one"), two: await join(other, "two") };
      for (const sender of Object.values(senders)) {
        for (const type of ["OFFER", "CANDIDATE", "CANDIDATE"]) {
          sender.send({ type, dst: "absent" });
        }
        sender.send({ type: "OFFER", dst: "gone" });
      }
      for (const [id, sender] of Object.entries(senders)) {
        const expired = [await sender.next(), await sender.next()];
        assert.deepEqual(
          expired.toSorted((a, b) => String(a.src) < String(b.src) ? -1 : 1),
          ["absent", "gone"].map((src) => ({ type: "EXPIRE", src, dst: id })),
        );
        await assertQuiet(sender, id);
        await sender.close();
      }
      const absent = await join(other, "absent");
      await assertQuiet(absent, "absent");
      await absent.close();
    },
  },
  {
    name: "an ID is free when its connection has ended",
    async run({ urls: [url, other] }) {
      await (await join(url, "brief", "first")).close();
      for (const token of ["second", "third"]) {
        await (await joinOnceFree(other, "brief", token)).close();
      }
    },
  },
  {
    name: "by HTTP a peer gets a fresh ID, and the list of all",
    async run({ urls }) {
      const peers = [await join(urls[0], "listed 1"), await join(urls[1], "listed 2")];
      for (const url of urls.map((url) => url.replace(/^ws/, "http"))) {
        const id = await fetch(`${url}/peerjs/id?ts=1&version=1.5.5`);
        assert.equal(id.status, 200);
        assert.match(await id.text(), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        const list = await fetch(`${url}/peerjs/peers`, {
          headers: { origin: "https://app.example" },
        });
        assert.equal(list.headers.get("access-control-allow-origin"), "https://app.example");
        const ids: string[] = await list.json();
        assert.deepEqual(ids.filter((id) => id.startsWith("listed")).sort(), [
          "listed 1",
          "listed 2",
        ]);
      }
      await Promise.all(peers.map((peer) => peer.close()));
    },
  },
  {
    name: "a wrong key is a 404 by HTTP",
    differs: "it does not look at the key there",
    async run({ urls: [url] }) {
      for (const path of ["/other/id", "/other/peers", "/id", "/peerjs/id/"]) {
        const response = await fetch(url.replace(/^ws/, "http") + path);
        await response.body?.cancel();
        assert.equal(response.status, 404, path);
      }
    },
  },
];

/** Connects a peer as soon as the server has taken note that the one before has left. */
export async function joinOnceFree(url: string, id: string, token: string): Promise<TestClient> {
  while (true) {
    const peer = await open(url, `key=peerjs&id=${id}&token=${token}`);
    if (await peer.nextText() === OPEN) return peer;
    await peer.closed;
  }
}
