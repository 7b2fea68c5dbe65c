/** Tests that mostly wait, several at a time. */

import { within } from "./expectations.ts";

const AT_A_TIME = 3;
/** A test that takes longer waits for what will never come. */
const LIMIT_MS = 90_000;

/** One test, with a step for each of `tests`. `ONLY` in the environment leaves out those without it in their names. */
export function testBesideEachOther(
  name: string,
  ignore: boolean,
  tests: Readonly<Record<string, () => Promise<void>>>,
): void {
  Deno.test({
    name,
    ignore,
    async fn(t) {
      const only = Deno.env.get("ONLY") ?? "";
      const pending = Object.entries(tests).filter(([name]) => name.includes(only));
      const run = async () => {
        for (let next = pending.shift(); next; next = pending.shift()) {
          const [name, fn] = next;
          // Steps run beside each other: what is left open can only be told of all together.
          await t.step({
            name,
            fn: () => within(LIMIT_MS, fn()),
            sanitizeOps: false,
            sanitizeResources: false,
            sanitizeExit: false,
          });
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, run));
    },
  });
}
