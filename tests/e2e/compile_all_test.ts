/** Executables for all systems are made like the one for this system. */

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { argsFor, TARGETS } from "../../scripts/compile_all.ts";
import { testPure } from "../helpers/pure.ts";

testPure("argsFor() adds the target to the task's arguments, and names the file after it", () => {
  for (const target of TARGETS) {
    const args = `deno ${argsFor(target).join(" ")}`;
    const added = `--output dist/signalbox-${target} --target ${target}`;
    const [compile] = /deno compile .*/.exec(config.tasks.compile.command)!;
    assert.equal(args.replace(added, "--output dist/signalbox"), compile);
  }
});

testPure("the executable has the permissions of the source, and no others", () => {
  const permissions = (command: string) => command.match(/--(allow-\S+|no-prompt)/g);
  assert.deepEqual(
    permissions(config.tasks.compile.command.replace(/^.*&&/, "")),
    permissions(config.tasks.start.command),
  );
});
