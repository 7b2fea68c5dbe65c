/** Runs tests that mostly wait, several at a time. */

import { within } from "./expectations.ts";

const AT_A_TIME = 3;
/** Time limit of a test, in milliseconds. */
const LIMIT_MS = 90_000;

/** Defines one test with a step for each of `tests`; only those whose name contains the variable `ONLY`, if that is set. */
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
          // Steps run concurrently, so the sanitizers cannot attribute what one leaves open.
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
