/** The changes that a node announces to the watchers of a room. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { RoomView } from "../../lib/cluster/room_view.ts";
import { testPure } from "../helpers/pure.ts";

/** Creates a view, and a log of the changes that it reports. */
function viewWithLog(): { view: RoomView; changes: string[] } {
  const changes: string[] = [];
  return { view: new RoomView((change, id) => changes.push(`${change} ${id}`)), changes };
}

testPure("apply() does nothing before the first reset()", () => {
  const { view, changes } = viewWithLog();
  view.apply({ kind: "join", id: "x" });
  assert.ok(view.isStale);
  assert.equal(view.size, 0);
  view.reset(["y"], true);
  assert.ok(!view.isStale);
  assert.deepEqual([...view.ids], ["y"]);
  assert.deepEqual(changes, ["joined y"]);
});

testPure("apply() reports each join and each leave once", () => {
  const { view, changes } = viewWithLog();
  view.reset([], true);
  view.apply({ kind: "join", id: "x" });
  view.apply({ kind: "join", id: "x" }); // with another connection
  view.apply({ kind: "leave", id: "x" });
  view.apply({ kind: "leave", id: "x" });
  assert.deepEqual(changes, ["joined x", "left x"]);
});

testPure("reset() removes no member while some may be missing", () => {
  const { view, changes } = viewWithLog();
  view.reset(["a", "b"], true);
  changes.length = 0;
  view.markStale();
  view.reset(["b", "c"], false);
  assert.deepEqual([...view.ids].sort(), ["a", "b", "c"]);
  view.reset(["b", "c"], true);
  assert.deepEqual([...view.ids].sort(), ["b", "c"]);
  assert.deepEqual(changes, ["joined c", "left a"]);
});

testPure("add() and remove() report changes while the view is stale", () => {
  const { view, changes } = viewWithLog();
  view.reset(["a"], true);
  changes.length = 0;
  view.markStale();
  view.add("b");
  view.remove("a");
  view.reset(["b"], true);
  assert.deepEqual(changes, ["joined b", "left a"]);
});

testPure("RoomView reports every change of its members once", () => {
  const id = fc.constantFrom("a", "b", "c", "d");
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom("join", "leave"), id }),
    fc.record({ kind: fc.constantFrom("add", "remove"), id }),
    fc.record({ kind: fc.constant("stale") }),
    fc.record({ kind: fc.constant("reset"), ids: fc.uniqueArray(id), areAll: fc.boolean() }),
  );
  fc.assert(fc.property(fc.array(step), (steps) => {
    const { view, changes } = viewWithLog();
    for (const step of steps as { kind: string; id: string; ids: string[]; areAll: boolean }[]) {
      if (step.kind === "stale") view.markStale();
      else if (step.kind === "reset") view.reset(step.ids, step.areAll);
      else if (step.kind === "add" || step.kind === "remove") view[step.kind](step.id);
      else view.apply({ kind: step.kind as "join" | "leave", id: step.id });
    }
    const known = new Set<string>();
    for (const line of changes) {
      const [change, id] = line.split(" ") as [string, string];
      const isNew = change === "joined" ? !known.has(id) : known.has(id);
      assert.ok(isNew, `reported twice: ${changes}`);
      if (change === "joined") known.add(id);
      else known.delete(id);
    }
    assert.deepEqual([...known].sort(), [...view.ids].sort());
    assert.equal(view.size, known.size);
  }));
});
