/** Three real nodes and a real Redis: to clients they are one server. */

import assert from "node:assert/strict";
import { Keys } from "../../lib/cluster/keys.ts";
import { readScripts } from "../../lib/cluster/scripts.ts";
import { type Message, TestClient } from "../helpers/client.ts";
import { isRedisMissing } from "../helpers/redis.ts";
import { messagesUntilNow, peer } from "./expectations.ts";
import { TestCluster } from "./nodes.ts";

const ignore = isRedisMissing();

/** Reads the next messages of a client. */
async function messages(client: TestClient, count: number): Promise<Message[]> {
  const messages: Message[] = [];
  while (messages.length < count) messages.push(await client.next());
  return messages;
}

/** A step of a test, in a room of its own. */
type Step = (
  register: (url: string, id: string, more?: Message) => Promise<TestClient>,
  cluster: TestCluster,
  room: string,
) => Promise<void>;

function testCluster(name: string, args: readonly string[], steps: Record<string, Step>): void {
  Deno.test({
    name,
    ignore,
    async fn(t) {
      await using cluster = await TestCluster.start(...args);
      for (const [room, step] of Object.entries(steps)) {
        await t.step(room, async () => {
          const clients: TestClient[] = [];
          await step(
            async (url, id, more = {}) => {
              const client = await TestClient.register(url, id, { room, ...more });
              clients.push(client);
              return client;
            },
            cluster,
            room,
          );
          await Promise.all(clients.map((client) => client.close(1000)));
        });
      }
    },
  });
}

testCluster("a cluster that replaces", ["--mailbox-ttl", "1s", "--resume-ttl", "1m"], {
  // Comes first: a node acknowledges the messages of another after a while, through Redis too.
  "delivers messages between clients of one node without Redis": async (
    register,
    { urls: [a], redis },
  ) => {
    const alice = await register(a, "alice");
    const bob = await register(a, "bob");
    const calls = async () => {
      const stats = await redis.command("INFO", "commandstats");
      const count = (name: string) =>
        Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
      return [count("hget"), count("publish")]; // a heartbeat runs neither
    };
    const before = await calls();
    for (let n = 0; n < 200; n++) alice.send({ target_id: "bob", n });
    assert.equal((await messages(bob, 200)).length, 200);
    assert.deepEqual(await calls(), before);
  },

  "delivers messages unchanged and in order": async (register, { urls: [a, b] }) => {
    const alice = await register(a, "alice");
    const bob = await register(b, "bob");
    alice.send('{ "n":1e400, "u":"\\u00e9\\/", "x":{"from":1},"target_id":"bob", "n":1.0 }');
    assert.equal(
      await bob.nextText(),
      '{ "n":1e400, "u":"\\u00e9\\/", "x":{"from":1},"from":"alice", "n":1.0 }',
    );
    for (let n = 0; n < 1000; n++) alice.send({ target_id: "bob", n });
    for (let n = 0; n < 1000; n++) {
      assert.equal(await bob.nextText(), `{"from":"alice","n":${n}}`);
    }
  },

  "delivers large messages": async (register, { urls: [a, b] }) => {
    const alice = await register(a, "alice");
    const bob = await register(b, "bob");
    const sdp = "\u{1f4de}ü\u2028".repeat(7000);
    alice.send({ target_id: "bob", sdp });
    alice.send({ target_id: "carol", sdp });
    assert.deepEqual(await bob.next(), { from: "alice", sdp });
    const carol = await register(b, "carol");
    assert.deepEqual(await carol.next(), { from: "alice", sdp });
  },

  "replaces an older connection on another node": async (register, { urls: [a, b, c] }) => {
    const watcher = await register(c, "watcher", { presence: true });
    const older = await register(a, "alice");
    assert.deepEqual(await watcher.next(), { type: "peer_joined", client_id: "alice" });
    const newer = await register(b, "alice");
    assert.equal((await older.next()).code, "replaced");
    assert.deepEqual(await older.ending(), [4409, "replaced"]);
    watcher.send({ target_id: "alice", n: 1 });
    assert.deepEqual(await newer.next(), { from: "watcher", n: 1 });
    assert.deepEqual(await messagesUntilNow(watcher), [
      { type: "peer_left", client_id: "alice" },
      { type: "peer_joined", client_id: "alice" },
    ]);
  },

  "gives an ID that two connections claim at once to one of them": async (
    register,
    { urls: [a, b, c] },
  ) => {
    const sender = await register(c, "sender", { presence: true });
    for (let round = 0; round < 50; round++) {
      const id = `id ${round}`;
      const both = await Promise.all([register(a, id), register(b, id)]);
      const ends = both.map(async (client) => {
        const message = await client.next();
        return message.code === "replaced" ? (await client.closed).code : message;
      });
      await Promise.race(ends); // the replaced one gets its notice: no client has sent anything yet
      sender.send({ target_id: id, round });
      const results = await Promise.all(ends);
      assert.deepEqual(results.filter((result) => result === 4409).length, 1);
      assert.deepEqual(results.find((result) => result !== 4409), { from: "sender", round });
      for (const type of ["peer_joined", "peer_left", "peer_joined"]) {
        assert.deepEqual(await sender.next(), { type, client_id: id });
      }
    }
    assert.deepEqual(await messagesUntilNow(sender), []);
  },

  "releases an ID that Redis has given to a node too late": async (
    register,
    { urls: [a], redis },
    room,
  ) => {
    const watcher = await register(a, "watcher", { presence: true });
    const keys = new Keys("signalbox");
    const nodes = (await redis.command("ZRANGE", keys.nodes, "0", "-1")).split("\n");
    const { text } = readScripts(keys).claim;
    for (const node of nodes) { // two of the three do not track the room
      const [id, requestId, deadlineMs] = [node, 1_000_000, Date.now() + 60_000];
      const args = [room, id, node, "replace", 0, "", "", 0, requestId, deadlineMs].map(String);
      await redis.command("EVAL", text, "1", keys.ids(room), ...args);
      assert.deepEqual(await watcher.next(), peer("joined", id));
      assert.deepEqual(await watcher.next(), peer("left", id));
    }
  },

  "keeps rooms separate": async (register, { urls: [a, b] }, room) => {
    const here = await register(a, "alice", { presence: true });
    const there = await register(b, "alice", { room: `${room}!` });
    const bob = await register(b, "bob", { room: `${room}!` });
    bob.send({ n: 1 });
    bob.send({ target_id: "alice", n: 2 });
    assert.deepEqual(await messages(there, 2), [{ from: "bob", n: 1 }, { from: "bob", n: 2 }]);
    assert.deepEqual(await messagesUntilNow(here), []);
  },

  "accepts names that look like parts of a key": async (register, { urls: [a, b, c] }) => {
    const rooms = ["x", "x}:mail:{#y", "{x}", "}", "{", "a:b", "\u{1f937}", " ", "x}", "#x", "%00"];
    const names = [
      "y",
      "y}",
      "x}y",
      "x}:ids",
      "{}",
      "*",
      "\u{1f469}\u200d\u{1f4bb}",
      "a b",
      "e\u0301",
      "\u00e9",
    ];
    for (const room of rooms) {
      const clients = await Promise.all(
        names.map((id, n) => register([a, b, c][n % 3]!, id, { room, presence: true })),
      );
      const sender = await register(a, "sender", { room, presence: true });
      assert.deepEqual((sender.registered.peers as string[]).sort(), [...names].sort());
      for (const id of names) sender.send({ target_id: id, room, id });
      for (const [n, client] of clients.entries()) {
        const got: Message[] = [];
        while (got.at(-1)?.from !== "sender") got.push(await client.next());
        assert.deepEqual(got.at(-1), { from: "sender", room, id: names[n] });
      }
      sender.send({ target_id: `${room} late`, room });
      const late = await register(b, `${room} late`, { room });
      assert.deepEqual(await late.next(), { from: "sender", room });
    }
  },

  "broadcasts to every client once": async (register, { urls }) => {
    const clients = await Promise.all(
      [0, 1, 2, 3, 4, 5].map((n) => register(urls[n % 3]!, `client ${n}`)),
    );
    const [sender, ...others] = clients;
    for (let n = 0; n < 100; n++) {
      sender!.send({ n });
      sender!.send({ target_id: "client 1", direct: n });
    }
    for (const [at, client] of others.entries()) {
      const got = await messages(client, at === 0 ? 200 : 100);
      const wanted = [...Array(100).keys()].flatMap((n) =>
        at === 0
          ? [{ from: "client 0", n }, { from: "client 0", direct: n }]
          : [{ from: "client 0", n }]
      );
      assert.deepEqual(got, wanted);
      assert.deepEqual(await messagesUntilNow(client), []);
    }
    assert.deepEqual(await messagesUntilNow(sender!), []);
  },

  "announces each join and each leave once": async (register, { urls: [a, b, c] }) => {
    const early = await register(a, "early", { presence: true });
    assert.deepEqual(early.registered.peers, []);
    const ids = [...Array(30).keys()].map((n) => `peer ${n}`);
    const peers = await Promise.all(ids.map((id, n) => register([a, b, c][n % 3]!, id)));
    const late = await register(b, "late", { presence: true });
    assert.deepEqual((late.registered.peers as string[]).sort(), ["early", ...ids].sort());
    const joined = await messages(early, 31);
    assert.deepEqual(
      joined.map((message) => `${message.type} ${message.client_id}`).sort(),
      [...ids, "late"].map((id) => `peer_joined ${id}`).sort(),
    );
    await Promise.all(peers.map((peer) => peer.close(1000)));
    for (const watcher of [early, late]) {
      const left = await messages(watcher, 30);
      assert.deepEqual(
        left.map((message) => `${message.type} ${message.client_id}`).sort(),
        ids.map((id) => `peer_left ${id}`).sort(),
      );
    }
    assert.deepEqual(await messagesUntilNow(early), []);
    assert.deepEqual(await messagesUntilNow(late), []);
  },

  "gives all clients that join at once the same peers": async (register, { urls }) => {
    const ids = [...Array(40).keys()].map(String);
    const clients = await Promise.all(
      ids.map((id, n) => register(urls[n % 3]!, id, { presence: true })),
    );
    await Promise.all(clients.map(async (client, n) => {
      const known = new Set(client.registered.peers as string[]);
      while (known.size < ids.length - 1) {
        const { type, client_id: id } = await client.next();
        assert.equal(type, "peer_joined");
        assert.ok(!known.has(id as string), `${n} was notified twice of ${id}`);
        known.add(id as string);
      }
      assert.ok(!known.has(String(n)));
    }));
  },

  "stores messages for a client that registers on another node": async (
    register,
    { urls: [a, b, c] },
  ) => {
    const alice = await register(a, "alice");
    const bob = await register(b, "bob");
    for (let n = 0; n < 20; n++) {
      alice.send({ target_id: "carol", n });
      bob.send({ target_id: "carol", n });
    }
    await messagesUntilNow(alice);
    const carol = await register(c, "carol");
    alice.send({ target_id: "carol", n: 20 });
    bob.send({ target_id: "carol", n: 20 });
    const got = await messages(carol, 42);
    for (const from of ["alice", "bob"]) {
      const numbers = got.filter((message) => message.from === from).map(({ n }) => n);
      assert.deepEqual(numbers, [...Array(21).keys()]);
    }
  },

  "reports an expired message once": async (register, { urls: [a] }) => {
    const alice = await register(a, "alice");
    for (let n = 0; n < 10; n++) alice.send({ target_id: `absent ${n}`, n });
    for (let n = 0; n < 10; n++) {
      const { code, target_id } = await alice.next();
      assert.deepEqual({ code, target_id }, { code: "target_not_found", target_id: `absent ${n}` });
    }
    assert.deepEqual(await messagesUntilNow(alice), []);
  },

  "delivers or reports a message that expires as its target registers": async (
    register,
    { urls: [a, b] },
  ) => {
    const alice = await register(a, "alice");
    const count = 150;
    for (let n = 0; n < count; n++) {
      alice.send({ target_id: `target ${n}`, n });
      if (n % 10 === 0) await messagesUntilNow(alice); // spread over some milliseconds
    }
    const reported: unknown[] = [(await alice.next()).target_id];
    const targets = await Promise.all(
      [...Array(count).keys()].map((n) => register(b, `target ${n}`)),
    );
    alice.send({ target_id: "absent" });
    for (let id: unknown; id !== "absent";) reported.push(id = (await alice.next()).target_id);
    let delivered = 0;
    for (const [n, target] of targets.entries()) {
      const got = await messagesUntilNow(target);
      delivered += got.length;
      const reports = reported.filter((id) => id === `target ${n}`).length;
      assert.equal(got.length + reports, 1, `target ${n}: ${got.length} and ${reports}`);
    }
    assert.equal(delivered + reported.length - 1, count);
  },

  "stores as many messages for a pair as one node does": async (register, { urls: [a, b, c] }) => {
    const alice = await register(a, "alice");
    const bob = await register(b, "bob");
    for (let n = 0; n < 64; n++) alice.send({ target_id: "carol", n });
    await messagesUntilNow(alice);
    alice.send({ target_id: "carol", n: 64 });
    const { code, target_id } = await alice.next();
    assert.deepEqual({ code, target_id }, { code: "mailbox_full", target_id: "carol" });
    bob.send({ target_id: "carol", n: 65 });
    await messagesUntilNow(bob);
    const carol = await register(c, "carol");
    const got = await messages(carol, 65); // first what is stored, in order for each sender
    const numbers = (from: string) =>
      got.filter((message) => message.from === from).map(({ n }) => n);
    assert.deepEqual(numbers("alice"), [...Array(64).keys()]);
    assert.deepEqual(numbers("bob"), [65]);
  },

  "resumes on another node": async (register, { urls: [a, b, c] }) => {
    const watcher = await register(c, "watcher", { presence: true });
    const first = await register(a, "alice", { resume: true });
    const { resume } = first.registered;
    assert.equal(first.registered.resumed, false);
    await watcher.next();
    await first.close(4000);
    for (let n = 0; n < 10; n++) watcher.send({ target_id: "alice", n });
    await messagesUntilNow(watcher);
    await assert.rejects(register(b, "alice"), /id_held/);
    await assert.rejects(register(b, "alice", { resume: "x" }), /id_held/);
    const late = await register(b, "late", { presence: true });
    assert.deepEqual((late.registered.peers as string[]).sort(), ["alice", "watcher"]);
    const second = await register(b, "alice", { resume });
    assert.deepEqual([second.registered.resume, second.registered.resumed], [resume, true]);
    assert.deepEqual(
      await messages(second, 10),
      [...Array(10).keys()].map((n) => ({ from: "watcher", n })),
    );
    const third = await register(c, "alice", { resume }); // the older connection is still open
    assert.equal(third.registered.resumed, true);
    assert.equal((await second.closed).reason, "replaced");
    assert.deepEqual(await messagesUntilNow(watcher), [{ type: "peer_joined", client_id: "late" }]);
  },

  "loses no message to a client that keeps moving": async (register, { urls, nodes }) => {
    const sender = await register(urls[0], "sender");
    let mover = await register(urls[0], "mover", { resume: true });
    const { resume } = mover.registered;
    const got: unknown[] = [];
    let sent = 0;
    const read = async (count: number) => {
      for (const { n } of await messages(mover, count)) got.push(n);
    };
    for (let move = 0; move < 30; move++) {
      for (let n = 0; n < 5; n++) sender.send({ target_id: "mover", n: sent++ });
      await read(5);
      await mover.close(4000);
      await nodes[move % 3]!.logged("ID held: mover", Math.floor(move / 3) + 1);
      for (let n = 0; n < 5; n++) sender.send({ target_id: "mover", n: sent++ });
      mover = await register(urls[(move + 1) % 3]!, "mover", { resume });
      assert.equal(mover.registered.resumed, true);
      await read(5);
    }
    assert.deepEqual(got, [...Array(sent).keys()]);
    assert.deepEqual(await messagesUntilNow(sender), []);
  },

  "notifies a sender that has moved": async (register, { urls: [a, b] }) => {
    const first = await register(a, "alice", { resume: true });
    first.send({ target_id: "absent" });
    await messagesUntilNow(first);
    const second = await register(b, "alice", { resume: first.registered.resume });
    const { code, target_id } = await second.next();
    assert.deepEqual({ code, target_id }, { code: "target_not_found", target_id: "absent" });
  },

  "notifies a sender that has moved after its message expired": async (
    register,
    { urls: [a, b] },
  ) => {
    const first = await register(a, "alice", { resume: true });
    const other = await register(a, "other", { room: "another room" });
    first.send({ target_id: "absent" });
    await first.close(4000);
    other.send({ target_id: "absent" }); // expires after alice's
    assert.equal((await other.next()).code, "target_not_found");
    const second = await register(b, "alice", { resume: first.registered.resume });
    const { code, target_id } = await second.next();
    assert.deepEqual({ code, target_id }, { code: "target_not_found", target_id: "absent" });
  },
});

testCluster("a cluster that rejects", ["--on-duplicate", "reject", "--mailbox-ttl", "0"], {
  "gives an ID to the first": async (register, { urls: [a, b, c] }) => {
    const sender = await register(c, "sender");
    for (let round = 0; round < 50; round++) {
      const id = `id ${round}`;
      const results = await Promise.allSettled([register(a, id), register(b, id)]);
      const [winner, ...more] = results.filter((result) => result.status === "fulfilled");
      assert.equal(more.length, 0);
      const loser = results.find((result) => result.status === "rejected");
      assert.match(String(loser?.reason), /id_taken/);
      sender.send({ target_id: id, round });
      assert.deepEqual(await winner!.value.next(), { from: "sender", round });
      await assert.rejects(register(c, id), /id_taken/);
    }
  },

  "gives an ID again that was released": async (register, { urls: [a, b] }) => {
    const watcher = await register(b, "watcher", { presence: true });
    const first = await register(a, "alice");
    assert.equal((await watcher.next()).type, "peer_joined");
    await first.close(1000);
    assert.equal((await watcher.next()).type, "peer_left");
    await register(b, "alice");
  },

  "reports a missing target at once": async (register, { urls: [a] }) => {
    const alice = await register(a, "alice");
    alice.send({ target_id: "absent" });
    assert.equal((await alice.next()).code, "target_not_found");
  },
});
