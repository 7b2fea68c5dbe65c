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

testPure("a room's keys are in one slot of a Redis Cluster, other rooms' in others", () => {
  // The text between the first opening brace and the next closing one decides, unless it is empty.
  const tag = (key: string) => /\{([^}]+)\}/.exec(key)?.[1];
  fc.assert(fc.property(room, room, (room, other) => {
    assert.notEqual(tag(KEYS.ids(room)), undefined);
    assert.equal(tag(KEYS.ids(room)), tag(KEYS.roomChannel(room)));
    assert.equal(KEYS.ids(room) === KEYS.ids(other), room === other);
  }));
  assert.notEqual(tag(KEYS.ids("a")), tag(KEYS.ids("b")));
});

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
