/** A session with a real Redis. */

import assert from "node:assert/strict";
import { systemClock } from "../../lib/clock.ts";
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
