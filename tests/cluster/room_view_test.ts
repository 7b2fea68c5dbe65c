/** What a node tells those who watch a room, however it hears of the others. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { RoomView } from "../../lib/cluster/room_view.ts";
import { testPure } from "../helpers/pure.ts";

/** A view, and what it has told. */
function viewWithLog(): { view: RoomView; told: string[] } {
  const told: string[] = [];
  return { view: new RoomView((change, id) => told.push(`${change} ${id}`)), told };
}

testPure("RoomView ignores what it hears before it knows the members", () => {
  const { view, told } = viewWithLog();
  view.apply({ kind: "join", id: "x" });
  assert.ok(view.isStale);
  assert.equal(view.size, 0);
  view.reset(["y"], true);
  assert.ok(!view.isStale);
  assert.deepEqual([...view.ids], ["y"]);
  assert.deepEqual(told, ["joined y"]);
});

testPure("RoomView tells everybody who comes and goes, once", () => {
  const { view, told } = viewWithLog();
  view.reset([], true);
  view.apply({ kind: "join", id: "x" });
  view.apply({ kind: "join", id: "x" }); // with another connection
  view.apply({ kind: "leave", id: "x" });
  view.apply({ kind: "leave", id: "x" });
  assert.deepEqual(told, ["joined x", "left x"]);
});

testPure("RoomView counts nobody as gone while others may not have come back", () => {
  const { view, told } = viewWithLog();
  view.reset(["a", "b"], true);
  told.length = 0;
  view.markStale();
  view.reset(["b", "c"], false);
  assert.deepEqual([...view.ids].sort(), ["a", "b", "c"]);
  view.reset(["b", "c"], true);
  assert.deepEqual([...view.ids].sort(), ["b", "c"]);
  assert.deepEqual(told, ["joined c", "left a"]);
});

testPure("RoomView tells of those who come and go on this node while it is stale", () => {
  const { view, told } = viewWithLog();
  view.reset(["a"], true);
  told.length = 0;
  view.markStale();
  view.add("b");
  view.remove("a");
  view.reset(["b"], true);
  assert.deepEqual(told, ["joined b", "left a"]);
});

testPure("RoomView tells what has changed, whatever happens", () => {
  const id = fc.constantFrom("a", "b", "c", "d");
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom("join", "leave"), id }),
    fc.record({ kind: fc.constantFrom("add", "remove"), id }),
    fc.record({ kind: fc.constant("stale") }),
    fc.record({ kind: fc.constant("reset"), ids: fc.uniqueArray(id), areAll: fc.boolean() }),
  );
  fc.assert(fc.property(fc.array(step), (steps) => {
    const { view, told } = viewWithLog();
    for (const step of steps as { kind: string; id: string; ids: string[]; areAll: boolean }[]) {
      if (step.kind === "stale") view.markStale();
      else if (step.kind === "reset") view.reset(step.ids, step.areAll);
      else if (step.kind === "add" || step.kind === "remove") view[step.kind](step.id);
      else view.apply({ kind: step.kind as "join" | "leave", id: step.id });
    }
    const known = new Set<string>();
    for (const line of told) {
      const [change, id] = line.split(" ") as [string, string];
      const isNew = change === "joined" ? !known.has(id) : known.has(id);
      assert.ok(isNew, `told twice: ${told}`);
      if (change === "joined") known.add(id);
      else known.delete(id);
    }
    assert.deepEqual([...known].sort(), [...view.ids].sort());
    assert.equal(view.size, known.size);
  }));
});
