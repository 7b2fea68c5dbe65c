/** The limit of open files is found by opening some, and nothing stays open. */

import assert from "node:assert/strict";
import { findFileLimit } from "../lib/file_limit.ts";
import { testPure } from "./helpers/pure.ts";

/** Opens as many files as the limit says, then fails. */
class FakeFiles {
  opened = 0;
  open = 0;

  constructor(readonly limit: number) {}

  openOne = (): Disposable => {
    if (this.open >= this.limit) throw new Error("Too many open files (os error 24)");
    this.opened++;
    this.open++;
    return { [Symbol.dispose]: () => this.open-- };
  };
}

testPure(
  "findFileLimit() is null where every connection can have a file, with some to spare",
  () => {
    const files = new FakeFiles(1_000_000);
    assert.equal(findFileLimit(1000, files.openOne), null);
    assert(files.opened > 1000);
    assert.equal(files.open, 0);
  },
);

testPure("findFileLimit() finds the limit where it is too low", () => {
  for (const limit of [10, 256, 1000]) {
    const files = new FakeFiles(limit);
    assert.equal(findFileLimit(1000, files.openOne), limit);
    assert.equal(files.open, 0);
  }
});

testPure("findFileLimit() looks only so far", () => {
  const files = new FakeFiles(Infinity);
  assert.equal(findFileLimit(10_000_000, files.openOne), null);
  assert(files.opened <= 20_000);
});

testPure(
  "findFileLimit() is null where no file can be opened at all: that has another reason",
  () => {
    assert.equal(findFileLimit(1000, new FakeFiles(0).openOne), null);
  },
);
