/** The recipes of cluster.md: a user with the least rights, TLS with an authority of its own, failover behind HAProxy. */

import assert from "node:assert/strict";
import { printedFile, replaceAll } from "../deploying/document.ts";
import { Certificate, isMissingOpenssl } from "../helpers/certificate.ts";
import { TestClient } from "../helpers/client.ts";
import { Foreground } from "../helpers/foreground.ts";
import { findFreePort } from "../helpers/free_port.ts";
import { ownEnvironment } from "../helpers/program.ts";
import { isRedisMissing, TestRedis } from "../helpers/redis.ts";
import { isFile, isMissing } from "../helpers/tools.ts";
import { assertConnected, closeAll, messagesUntilNow, peer } from "./expectations.ts";
import { startNode, TestCluster } from "./nodes.ts";

const { register } = TestClient;
const SCRIPTS = new URL("../../lib/cluster/scripts/", import.meta.url);
const HAPROXY = "/usr/sbin/haproxy";
/** Commands that the client library sends beside those of the scripts. */
const SENT = ["hello", "script|load", "evalsha", "subscribe", "unsubscribe", "publish"];

Deno.test("the user of cluster.md may run what the scripts run, and no more", () => {
  const scripts = [...Deno.readDirSync(SCRIPTS)].map(({ name }) =>
    Deno.readTextFileSync(new URL(name, SCRIPTS))
  );
  const run = scripts.join().matchAll(/redis\.p?call\('(\w+)'/g);
  const needed = new Set([...SENT, ...[...run].map(([, command]) => command!.toLowerCase())]);
  const allowed = printedFile("/etc/redis/users.acl").matchAll(/ \+(\S+)/g);
  assert.deepEqual([...allowed].map(([, command]) => command).sort(), [...needed].sort());
});

Deno.test({
  name: "a cluster runs as the user of cluster.md, over TLS with an authority of its own",
  ignore: isRedisMissing() || isMissingOpenssl(),
  async fn() {
    using certificate = await Certificate.make();
    const folder = await Deno.makeTempDir();
    await using stack = new AsyncDisposableStack();
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const users = `${folder}/users.acl`;
    await Deno.writeTextFile(
      users,
      `user default on nopass ~* &* +@all\n${printedFile("/etc/redis/users.acl")}`
        .replace(/^#.*\n/m, ""),
    );
    const tlsPort = findFreePort();
    const redis = await TestRedis.start(
      ...["--aclfile", users, "--tls-port", `${tlsPort}`, "--tls-auth-clients", "no"],
      ...["--tls-cert-file", certificate.certPath, "--tls-key-file", certificate.keyPath],
    );
    const url = `rediss://signalbox:change-me@localhost:${tlsPort}`;
    const env = { ...ownEnvironment(), DENO_CERT: certificate.certPath };
    const args = ["--resume-ttl", "1s", "--mailbox-ttl", "1s"];
    await using cluster = await TestCluster.of(redis, [
      startNode(url, args, { env }),
      startNode(url, args, { env }),
    ]);
    await useAll(cluster);
    assert.equal(await redis.command("ACL", "LOG"), "");
    assert.match(await redis.command("ACL", "LIST"), /user signalbox on/);
  },
});

/** Has two nodes do all that they do in Redis, but for what follows a death. */
async function useAll({ redis, nodes, urls: [a, b] }: TestCluster): Promise<void> {
  const watcher = await register(a, "watcher", { presence: true });
  const bob = await register(b, "bob", { resume: true });
  assert.deepEqual(await watcher.next(), peer("joined", "bob"));
  await assertConnected(watcher, bob);
  bob.send({ n: 1 });
  assert.deepEqual(await watcher.next(), { from: "bob", n: 1 });
  await bob.close(4000);
  watcher.send({ target_id: "bob", n: 2 });
  const again = await register(a, "bob", { resume: bob.registered.resume });
  assert.deepEqual(await again.next(), { from: "watcher", n: 2 });
  watcher.send({ target_id: "absent" });
  assert.equal((await watcher.next()).code, "target_not_found");
  await redis.command("CLIENT", "KILL", "TYPE", "pubsub");
  await Promise.all(nodes.map((node) => node.logged("Joined the cluster", 2)));
  await assertConnected(watcher, again);
  await closeAll(watcher, again);
}

Deno.test({
  name: "a cluster follows the primary of three Redis behind HAProxy",
  ignore: isRedisMissing() || isMissing(isFile(HAPROXY), `${HAPROXY} (Debian: haproxy)`),
  async fn() {
    await using stack = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir();
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    // Replicas write what they get to a file, and each has one of its own.
    const start = (name: string, ...args: readonly string[]) => {
      const dir = `${folder}/${name}`;
      Deno.mkdirSync(dir);
      return TestRedis.start("--dir", dir, "--repl-diskless-sync-delay", "0", ...args);
    };
    const primary = stack.use(await start("primary"));
    const redis = [primary];
    for (const name of ["one", "other"]) {
      redis.push(stack.use(await start(name, "--replicaof", "127.0.0.1", `${primary.port}`)));
    }
    stack.use(await startSentinel(folder, primary));
    const port = await startHaproxy(stack, folder, redis);
    const url = `redis://127.0.0.1:${port}`;
    const nodes = stack.use(
      await TestCluster.of(primary, [startNode(url, []), startNode(url, [])]),
    );
    const [a, b] = nodes.urls;
    const [alice, bob] = [await register(a, "alice"), await register(b, "bob")];
    await assertConnected(alice, bob);
    await primary.kill();
    await Promise.all(nodes.nodes.map((node) => node.logged("Joined the cluster", 2)));
    await assertConnected(alice, bob);
    await primary.restart(); // as a primary, until the Sentinel has seen it
    await untilRole(primary, "slave");
    await assertConnected(alice, bob);
    for (const { log } of nodes.nodes) assert.equal(log.match(/Joined the cluster/g)?.length, 2);
    assert.deepEqual(await messagesUntilNow(alice), []);
    await closeAll(alice, bob);
  },
});

async function untilRole(redis: TestRedis, role: "master" | "slave"): Promise<void> {
  while (!(await redis.command("ROLE")).startsWith(role)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Starts one Sentinel, where cluster.md has three: so one is enough to agree. */
async function startSentinel(folder: string, primary: TestRedis): Promise<Foreground> {
  const port = findFreePort();
  const file = `${folder}/sentinel.conf`;
  const printed = replaceAll(printedFile("/etc/redis/sentinel.conf"), {
    "10.0.0.11 6379 2": `127.0.0.1 ${primary.port} 1`,
    "5000": "2000", // less, and a stall of the machine makes the Sentinel fail over once more
  });
  await Deno.writeTextFile(file, `bind 127.0.0.1\nport ${port}\ndir ${folder}\n${printed}`);
  const sentinel = new Foreground(["redis-server", file, "--sentinel"]);
  await sentinel.listensOn(port);
  return sentinel;
}

/** Starts HAProxy before these Redis; resolves to its port once it leads to the primary. */
async function startHaproxy(
  stack: AsyncDisposableStack,
  folder: string,
  redis: readonly TestRedis[],
): Promise<number> {
  const port = findFreePort();
  const servers = redis.map(({ port }, n) => [`10.0.0.1${n + 1}:6379`, `127.0.0.1:${port}`]);
  const config = replaceAll(printedFile("/etc/haproxy/haproxy.cfg, the primary of three Redis"), {
    "127.0.0.1:6379": `127.0.0.1:${port}`,
    ...Object.fromEntries(servers),
  });
  const file = `${folder}/haproxy.cfg`;
  await Deno.writeTextFile(file, `defaults\n    timeout connect 5000\n\n${config}`);
  stack.use(new Foreground([HAPROXY, "-db", "-f", file]));
  while (!await answers(port)) await new Promise((resolve) => setTimeout(resolve, 50));
  return port;
}

async function answers(port: number): Promise<boolean> {
  const ping = new Deno.Command("redis-cli", { args: ["-p", `${port}`, "PING"], stderr: "null" });
  return new TextDecoder().decode((await ping.output()).stdout).trim() === "PONG";
}
