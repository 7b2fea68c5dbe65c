/** Accessibility of pages, as axe checks it. */

import axe from "axe-core";
import assert from "node:assert/strict";
import type { Page } from "playwright-core";

/** Fails if axe finds a barrier in the current state of the page. */
export async function assertAccessible(page: Page): Promise<void> {
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() =>
    (globalThis as unknown as { axe: typeof axe }).axe.run()
  );
  assert.ok(passes.some(({ id }) => id === "color-contrast"));
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
}
