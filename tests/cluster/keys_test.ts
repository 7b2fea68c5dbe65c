/** Names of rooms and IDs that look like parts of a key. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Keys, readEntry } from "../../lib/cluster/keys.ts";
import { isClientId } from "../../lib/relay/vocabulary.ts";
import { testPure } from "../helpers/pure.ts";

const KEYS = new Keys("signalbox");

const name = fc.oneof(
  fc.string({
    unit: fc.constantFrom("{", "}", "#", ":", "a", "signalbox", "ids", "mail", "mail-size"),
    minLength: 1,
    maxLength: 8,
  }),
  fc.string({ unit: "grapheme", minLength: 1 }),
).filter(isClientId);
const room = fc.oneof(fc.constant(""), name);

testPure("no two rooms or IDs have a key in common", () => {
  fc.assert(
    fc.property(room, name, room, name, (room1, id1, room2, id2) => {
      fc.pre(room1 !== room2 || id1 !== id2);
      const [ids1, ...mail1] = KEYS.mail(room1, id1);
      const [ids2, ...mail2] = KEYS.mail(room2, id2);
      assert.equal(ids1 === ids2, room1 === room2);
      const keys = new Set([ids1, ...mail1, ...mail2]);
      assert.equal(keys.size, 5);
      assert.ok(!keys.has(ids2) || room1 === room2);
    }),
    { numRuns: 5000 },
  );
});

testPure(
  "the keys of a room are in one slot of a Redis Cluster, and not all rooms in the same",
  () => {
    // The text between the first opening brace and the next closing one decides, unless it is empty.
    const tag = (key: string) => /\{([^}]+)\}/.exec(key)?.[1];
    fc.assert(fc.property(room, name, (room, id) => {
      const tags = new Set([...KEYS.mail(room, id), KEYS.roomChannel(room)].map(tag));
      assert.equal(tags.size, 1);
      assert.notEqual([...tags][0], undefined);
    }));
    assert.notEqual(tag(KEYS.ids("a")), tag(KEYS.ids("b")));
  },
);

testPure("roomOf() is the inverse of roomChannel()", () => {
  fc.assert(fc.property(room, (room) => {
    assert.equal(KEYS.roomOf(KEYS.roomChannel(room)), room);
    assert.notEqual(KEYS.roomChannel(room), KEYS.nodeChannel(room));
  }));
});

testPure("readEntry() splits an entry into room and ID", () => {
  fc.assert(fc.property(room, name, (room, id) => {
    assert.deepEqual(readEntry(`${room}\0${id}`), [room, id]);
  }));
});
