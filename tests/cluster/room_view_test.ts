/** The members of a room, and the changes that a node announces to its watchers. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { RoomView } from "../../lib/cluster/room_view.ts";
import { testPure } from "../helpers/pure.ts";

const owner = (node: string, epoch: number) => ({ node, epoch, isHeld: false });

/** Creates a view, and a log of the changes that it reports. */
function viewWithLog(): { view: RoomView; changes: string[] } {
  const changes: string[] = [];
  return { view: new RoomView((change, id) => changes.push(`${change} ${id}`)), changes };
}

testPure("apply() keeps the owner, and reports each join and each leave once", () => {
  const { view, changes } = viewWithLog();
  view.apply({ kind: "joined", id: "x", node: "a", epoch: 1 });
  view.apply({ kind: "held", id: "x", node: "a", epoch: 1 });
  assert.deepEqual(view.ownerOf("x"), { node: "a", epoch: 1, isHeld: true });
  view.apply({ kind: "resumed", id: "x", node: "b", epoch: 2 });
  assert.deepEqual(view.ownerOf("x"), owner("b", 2));
  assert.equal(view.seenEpoch, 2);
  view.apply({ kind: "left", id: "x", node: "b", epoch: 2 });
  view.apply({ kind: "left", id: "x", node: "b", epoch: 2 });
  assert.equal(view.ownerOf("x"), undefined);
  assert.deepEqual(changes, ["joined x", "left x"]);
});

testPure("a scan removes members that are neither found nor changed meanwhile", () => {
  const { view, changes } = viewWithLog();
  for (const id of ["a", "b", "c", "own"]) view.set(id, owner("n", id === "own" ? 0 : 1));
  changes.length = 0;
  view.markStale();
  view.beginScan();
  view.read([["b", owner("n", 1)]]);
  view.apply({ kind: "resumed", id: "c", node: "m", epoch: 2 });
  view.read([["d", owner("n", 3)]]);
  assert.ok(view.isStale);
  view.endScan(true);
  assert.ok(!view.isStale);
  assert.deepEqual([...view.ids].sort(), ["b", "c", "d", "own"]);
  assert.deepEqual(changes, ["joined d", "left a"]);
});

testPure("a scan removes no member while some may be missing", () => {
  const { view } = viewWithLog();
  view.set("a", owner("n", 1));
  view.beginScan();
  view.read([["b", owner("n", 2)]]);
  view.endScan(false);
  assert.deepEqual([...view.ids].sort(), ["a", "b"]);
});

testPure("RoomView reports every change of its members once", () => {
  const id = fc.constantFrom("a", "b", "c", "d");
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom("joined", "resumed", "held", "left"), id }),
    fc.record({ kind: fc.constantFrom("set", "remove", "stale"), id }),
    fc.record({ kind: fc.constant("scan"), id, ids: fc.uniqueArray(id), areAll: fc.boolean() }),
  );
  fc.assert(fc.property(fc.array(step), (steps) => {
    const { view, changes } = viewWithLog();
    for (const step of steps as { kind: string; id: string; ids: string[]; areAll: boolean }[]) {
      const { kind, id } = step;
      if (kind === "stale") view.markStale();
      else if (kind === "set") view.set(id, owner("n", 1));
      else if (kind === "remove") view.remove(id);
      else if (kind === "scan") {
        view.beginScan();
        view.read(step.ids.map((id) => [id, owner("n", 1)]));
        view.endScan(step.areAll);
      } else view.apply({ kind: kind as "joined", id, node: "n", epoch: 1 });
    }
    const known = new Set<string>();
    for (const line of changes) {
      const [change, id] = line.split(" ") as [string, string];
      assert.ok(change === "joined" ? !known.has(id) : known.has(id), `reported twice: ${changes}`);
      if (change === "joined") known.add(id);
      else known.delete(id);
    }
    assert.deepEqual([...known].sort(), [...view.ids].sort());
    assert.equal(view.size, known.size);
  }));
});
