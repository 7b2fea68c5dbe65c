/** Deadlines expire in order, at their time, whatever is done to them meanwhile. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Deadlines, systemClock } from "../lib/clock.ts";
import { FakeClock } from "./helpers/clock.ts";
import { testPure } from "./helpers/pure.ts";

/** Deadlines of 1 s that record which item expires, and when. */
function setUp(onDue: (item: string, deadlines: Deadlines<string>) => void = () => {}) {
  const clock = new FakeClock();
  const due: string[] = [];
  const deadlines: Deadlines<string> = new Deadlines(clock, 1000, (item) => {
    due.push(`${item} at ${clock.now()}`);
    onDue(item, deadlines);
  });
  return { clock, deadlines, due };
}

testPure("Deadlines expire after their time, and not before", () => {
  const { clock, deadlines, due } = setUp();
  deadlines.add("a");
  clock.advance(400);
  deadlines.add("b");
  clock.advance(599);
  assert.deepEqual(due, []);
  clock.advance(1);
  assert.deepEqual(due, ["a at 1000"]);
  clock.advance(10_000);
  assert.deepEqual(due, ["a at 1000", "b at 1400"]);
  assert.deepEqual([deadlines.size, clock.pending], [0, 0]);
});

testPure("Deadlines share one timer, and need none while there are none", () => {
  const { clock, deadlines } = setUp();
  assert.equal(clock.pending, 0);
  for (const item of ["a", "b", "c"]) deadlines.add(item);
  assert.equal(clock.pending, 1);
  for (const item of ["a", "b", "c"]) deadlines.delete(item);
  assert.equal(clock.pending, 0);
});

testPure("Deadlines.add() starts an item's time anew", () => {
  const { clock, deadlines, due } = setUp();
  deadlines.add("a");
  deadlines.add("b");
  clock.advance(900);
  deadlines.add("a");
  assert.equal(deadlines.size, 2);
  clock.advance(999);
  assert.deepEqual(due, ["b at 1000"]);
  clock.advance(1);
  assert.deepEqual(due, ["b at 1000", "a at 1900"]);
});

testPure("Deadlines.delete() takes an item out, and returns whether it was there", () => {
  const { clock, deadlines, due } = setUp();
  deadlines.add("a");
  deadlines.add("b");
  assert.deepEqual([deadlines.delete("a"), deadlines.delete("a")], [true, false]);
  clock.advance(1000);
  assert.equal(deadlines.delete("b"), false);
  assert.deepEqual(due, ["b at 1000"]);
});

testPure("an item that expires is out already, and can be added again from there", () => {
  const { clock, deadlines, due } = setUp((item, deadlines) => {
    assert.equal(deadlines.delete(item), false);
    if (due.length < 3) deadlines.add(item);
  });
  deadlines.add("a");
  clock.advance(10_000);
  assert.deepEqual(due, ["a at 1000", "a at 2000", "a at 3000"]);
  assert.deepEqual([deadlines.size, clock.pending], [0, 0]);
});

testPure("an item that expires can take others out that are due at the same time", () => {
  const { clock, deadlines, due } = setUp((item, deadlines) => {
    if (item === "a") deadlines.delete("b");
  });
  for (const item of ["a", "b", "c"]) deadlines.add(item);
  clock.advance(1000);
  assert.deepEqual(due, ["a at 1000", "c at 1000"]);
});

testPure("an item that expires can take the last other out, and the timer goes", () => {
  const { clock, deadlines } = setUp((_, deadlines) => deadlines.delete("b"));
  deadlines.add("a");
  clock.advance(1);
  deadlines.add("b");
  clock.advance(999);
  assert.deepEqual([deadlines.size, clock.pending], [0, 0]);
});

testPure("an item that expires can add others: they have their whole time, on one timer", () => {
  const { clock, deadlines, due } = setUp((item, deadlines) => {
    if (item === "a") deadlines.add("late");
  });
  deadlines.add("a");
  clock.advance(10);
  deadlines.add("b");
  clock.advance(990);
  assert.equal(clock.pending, 1);
  clock.advance(10_000);
  assert.deepEqual(due, ["a at 1000", "b at 1010", "late at 2000"]);
});

testPure("Deadlines hold whatever is added, deleted and waited for, in whatever order", () => {
  const step = fc.record({
    action: fc.constantFrom("add", "delete"),
    item: fc.constantFrom("a", "b", "c", "d"),
    waitMs: fc.nat(700),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { clock, deadlines, due } = setUp();
      const dueAt = new Map<string, number>();
      const expected: string[] = [];
      const expire = () => {
        const over = [...dueAt].filter(([, at]) => at <= clock.now());
        for (const [item, at] of over.sort((a, b) => a[1] - b[1])) {
          expected.push(`${item} at ${at}`);
          dueAt.delete(item);
        }
      };
      for (const { action, item, waitMs } of steps) {
        if (action === "add") {
          deadlines.add(item);
          dueAt.delete(item);
          dueAt.set(item, clock.now() + 1000);
        } else {
          assert.equal(deadlines.delete(item), dueAt.delete(item));
        }
        clock.advance(waitMs);
        expire();
        assert.deepEqual(due, expected);
        assert.equal(deadlines.size, dueAt.size);
        assert.equal(clock.pending, Math.sign(dueAt.size));
      }
    }),
    { numRuns: 2000 },
  );
});

testPure("systemClock goes forward, and calls what is not cancelled", async () => {
  const before = systemClock.now();
  const cancel = systemClock.after(0, () => assert.fail("it was cancelled"));
  cancel();
  await new Promise<void>((resolve) => systemClock.after(1, resolve));
  assert(systemClock.now() >= before);
});
