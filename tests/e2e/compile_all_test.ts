/** The executables for all systems are made as the one for this system is. */

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { compilationFor, TARGETS } from "../../scripts/compile_all.ts";
import { testPure } from "../helpers/pure.ts";

testPure("compilationFor() takes the task over, and names target and file", () => {
  const task = "RUST_MIN_STACK=8388608 deno compile --allow-net --output dist/signalbox main.ts";
  assert.deepEqual(compilationFor("x86_64-apple-darwin", task), {
    args: [
      ..."compile --allow-net --output dist/signalbox-x86_64-apple-darwin".split(" "),
      ..."--target x86_64-apple-darwin main.ts".split(" "),
    ],
    env: { RUST_MIN_STACK: "8388608" },
  });
});

testPure("compilationFor() understands the task as it is", () => {
  const task = config.tasks.compile.command;
  for (const target of TARGETS) {
    const { args } = compilationFor(target, task);
    assert.deepEqual(args.slice(0, 1), ["compile"]);
    assert.equal(args[args.indexOf("--output") + 1], `dist/signalbox-${target}`);
    assert.equal(args[args.indexOf("--target") + 1], target);
    assert.deepEqual(args.slice(-1), ["main.ts"]);
    assert(args.every((arg) => arg.includes(target) || arg === "--target" || task.includes(arg)));
  }
});

testPure("the executable may do what the source may, and nothing more", () => {
  const permissions = (command: string) => command.match(/--(allow-\S+|no-prompt)/g);
  assert.deepEqual(
    permissions(config.tasks.compile.command),
    permissions(config.tasks.start.command),
  );
});
