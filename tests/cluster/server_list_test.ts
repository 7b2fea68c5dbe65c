/** The list of Redis servers, and the rooms that each gets. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { hashOf, nameOf, pickServer } from "../../lib/cluster/server_list.ts";
import { testPure } from "../helpers/pure.ts";

const NAMES = ["a:6379", "b:6379", "c:6379", "d:6380"];

testPure("nameOf() leaves out what may differ from node to node", () => {
  assert.equal(nameOf("redis://user:hush@Redis.example"), "redis.example:6379");
  assert.equal(nameOf("rediss://redis.example:6380/0"), "redis.example:6380");
});

testPure("hashOf() does not depend on the order, and a single server may have any name", () => {
  assert.equal(hashOf(NAMES), hashOf(NAMES.toReversed()));
  assert.notEqual(hashOf(NAMES), hashOf(NAMES.slice(1)));
  assert.equal(hashOf(["a:1"]), hashOf(["b:2"]));
  assert.notEqual(hashOf(["a:1"]), hashOf(["a:1", "b:2"]));
});

testPure("pickServer() spreads rooms evenly, in any order of the list", () => {
  const rooms = Array.from({ length: 4000 }, (_, n) => `room ${n}`);
  const counts = new Map(NAMES.map((name) => [name, 0]));
  for (const room of rooms) {
    const name = pickServer(NAMES, room);
    assert.equal(pickServer(NAMES.toReversed(), room), name);
    counts.set(name, counts.get(name)! + 1);
  }
  for (const count of counts.values()) assert.ok(count > 900 && count < 1100, `${count}`);
});

testPure("pickServer() moves no room between servers that stay", () => {
  fc.assert(fc.property(fc.string(), fc.constantFrom(...NAMES), (room, removed) => {
    const before = pickServer(NAMES, room);
    const after = pickServer(NAMES.filter((name) => name !== removed), room);
    assert.equal(after, before === removed ? after : before);
    assert.notEqual(after, removed);
  }));
});
