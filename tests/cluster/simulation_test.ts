/** Clusters on a simulated clock and network that fail, and the judge of what their clients got. */

import assert from "node:assert/strict";
import type { ClientConnection } from "../../scripts/simulation/client.ts";
import { type FailureKind, FAILURES } from "../../scripts/simulation/failures.ts";
import { Lua } from "../../scripts/simulation/lua.ts";
import { judge } from "../../scripts/simulation/verdict.ts";
import { World } from "../../scripts/simulation/world.ts";

const KINDS = Object.keys(FAILURES) as FailureKind[];

/** Simulates clusters, and returns what went wrong by seed. */
async function simulate(
  seeds: readonly number[],
  failures: readonly FailureKind[],
): Promise<Record<number, readonly string[]>> {
  using lua = await Lua.start();
  const wrong: Record<number, readonly string[]> = {};
  for (const seed of seeds) {
    const violations = await new World(lua, { seed, failures }).run();
    if (violations.length > 0) wrong[seed] = violations;
  }
  return wrong;
}

function seedsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, n) => first + n);
}

Deno.test("simulated clusters that fail lose no message without a notice", async () => {
  assert.deepEqual(await simulate(seedsFrom(1, 400), KINDS), {});
});

Deno.test("simulated clusters that do not fail lose no message, and report none that arrived", async () => {
  assert.deepEqual(await simulate(seedsFrom(1, 100), []), {});
});

Deno.test("a seed has the same outcome each time", async () => {
  using lua = await Lua.start();
  const outcomes = [];
  for (let n = 0; n < 2; n++) {
    const lines: string[] = [];
    const onStep = (line: string) => lines.push(line.replaceAll(/[\w+/-]{32,}=?/g, "SECRET"));
    await new World(lua, { seed: 1, failures: KINDS, onStep }).run();
    outcomes.push(lines);
  }
  assert.ok(outcomes[0]!.length > 100);
  assert.deepEqual(outcomes[0], outcomes[1]);
});

Deno.test("the judge notices what is lost, doubled, overtaken or missed", async () => {
  using lua = await Lua.start();
  const world = new World(lua, { seed: 1, failures: [] });
  assert.deepEqual(await world.run(), []);
  const isOpen = (connection: ClientConnection) => connection.isOpen;
  const direct = world.sent.find(({ to, from, deliveredTo }) =>
    to !== null && from.isOpen && deliveredTo.length > 0
  )!;
  const broadcast = world.sent.find(({ to, others }) => to === null && others.some(isOpen))!;
  const [receiver] = direct.deliveredTo as [ClientConnection];

  direct.deliveredTo.push(receiver);
  assert.match(String([...judge(world)]), /was delivered 2 times/);
  direct.deliveredTo.length = 0;
  assert.match(String([...judge(world)]), /which were lost/);
  direct.deliveredTo.push(receiver);
  broadcast.deliveredTo.length = 0;
  assert.match(String([...judge(world)]), /missed the broadcast/);
  receiver.received.reverse();
  assert.match(String([...judge(world)]), /got \d+ after \d+/);
});
