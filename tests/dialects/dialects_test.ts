/** The dialects of a server, in the order in which they are tried. */

import assert from "node:assert/strict";
import { createDialects, DIALECT_NAMES } from "../../lib/dialects/dialects.ts";
import { testPure } from "../helpers/pure.ts";

testPure("createDialects() returns the enabled dialects in one order, and the core last", () => {
  const options = { peerjsKey: "peerjs", peerjsDiscovery: undefined };
  const namesOf = (dialects: readonly string[]) =>
    createDialects({ ...options, dialects }, false).map(({ name }) => name);
  assert.deepEqual(namesOf(["libdatachannel", "peerjs"]), ["peerjs", "libdatachannel", null]);
  assert.deepEqual(namesOf(DIALECT_NAMES), [...DIALECT_NAMES, null]);
  assert.deepEqual(namesOf([]), [null]);
});
