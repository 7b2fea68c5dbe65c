/** A session with a real Redis. */

import assert from "node:assert/strict";
import { systemClock } from "../../lib/clock.ts";
import { Disconnected } from "../../lib/cluster/disconnected.ts";
import { Keys } from "../../lib/cluster/keys.ts";
import { RedisSession } from "../../lib/cluster/redis.ts";
import { readScripts } from "../../lib/cluster/scripts.ts";
import { isRedisMissing, TestRedis } from "../helpers/redis.ts";

Deno.test({
  name: "subscribe() subscribes also while an earlier subscription begins or ends",
  ignore: isRedisMissing(),
  async fn() {
    await using redis = await TestRedis.start();
    const scripts = readScripts(new Keys("test"));
    const session = await RedisSession.begin(redis.url, scripts, systemClock, () => {});
    const begun = session.subscribe(["a channel"]);
    const ended = session.unsubscribe("a channel");
    await begun;
    await Promise.all([session.subscribe(["a channel"]), ended]);
    assert.equal(await session.publish("a channel", "a message"), 1);
    const endedAgain = session.unsubscribe("a channel");
    await Promise.all([session.subscribe(["a channel"]), endedAgain]);
    assert.equal(await session.publish("a channel", "a message"), 1);
    await session.unsubscribe("a channel");
    assert.equal(await session.publish("a channel", "a message"), 0);
    session.end();
  },
});

Deno.test({
  name: "commands reject with Disconnected if the node or Redis ends the session",
  ignore: isRedisMissing(),
  async fn() {
    await using redis = await TestRedis.start();
    const scripts = readScripts(new Keys("test"));
    const ends = [(session: RedisSession) => session.end(), () => redis.kill()];
    for (const end of ends) {
      const session = await RedisSession.begin(redis.url, scripts, systemClock, () => {});
      await session.subscribe(["a channel"]);
      redis.signal("SIGSTOP");
      const pending = [
        session.run("heartbeat", "node", 1, "list"),
        session.subscribe(["another channel"]),
        session.unsubscribe("a channel"),
      ];
      const rejected = pending.map((command) => assert.rejects(command, Disconnected));
      await end(session);
      await Promise.all(rejected);
      await assert.rejects(session.publish("a channel", ""), Disconnected);
      session.end();
      if (end === ends[0]) redis.signal("SIGCONT");
    }
  },
});

Deno.test({
  name: "a command or subscription that Redis refuses ends the session",
  ignore: isRedisMissing(),
  async fn() {
    await using redis = await TestRedis.start();
    const rights = ["resetchannels", "&allowed", "+@all", "-publish", "-unsubscribe"];
    await redis.command("ACL", "SETUSER", "poor", "on", ">hush", "~*", ...rights);
    const url = `redis://poor:hush@127.0.0.1:${redis.port}`;
    const scripts = readScripts(new Keys("test"));
    const refused: readonly ((session: RedisSession) => Promise<unknown>)[] = [
      (session) => session.publish("allowed", "a message"),
      (session) => session.subscribe(["allowed", "another channel"]),
      (session) => session.unsubscribe("allowed"),
    ];
    for (const command of refused) {
      const session = await RedisSession.begin(url, scripts, systemClock, () => {});
      await session.subscribe(["allowed"]);
      await assert.rejects(command(session), Disconnected);
      assert.match(String(await session.ended), /NOPERM/);
      session.end();
    }
  },
});
