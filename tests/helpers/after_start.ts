/** Runs the program, and prints what it may still do once it listens. */

import process from "node:process";

await import("../../main.ts");

const states = (["env", "sys", "read", "net"] as const)
  .map((name) => `${name} ${Deno.permissions.querySync({ name }).state}`);
console.error(`permissions: ${states.join(", ")}, env ${JSON.stringify(process.env)}`);
