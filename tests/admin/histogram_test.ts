/** Buckets as Prometheus wants them. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Histogram } from "../../lib/admin/histogram.ts";
import { testPure } from "../helpers/pure.ts";

testPure("Histogram.observe() puts a value that equals a bound below it", () => {
  const histogram = new Histogram([1, 2, 4]);
  for (const value of [0, 1, 1.5, 2, 5]) histogram.observe(value);
  assert.deepEqual(histogram.cumulative, [2, 4, 4]);
  assert.equal(histogram.count, 5);
  assert.equal(histogram.sum, 9.5);
});

testPure("Histogram.cumulative counts what is not above each bound, whatever comes", () => {
  const bounds = [-10, 0, 7, 1000];
  fc.assert(fc.property(fc.array(fc.integer({ min: -2000, max: 2000 })), (values) => {
    const histogram = new Histogram(bounds);
    for (const value of values) histogram.observe(value);
    const expected = bounds.map((bound) => values.filter((value) => value <= bound).length);
    assert.deepEqual(histogram.cumulative, expected);
    assert.equal(histogram.count, values.length);
    assert.equal(histogram.sum, values.reduce((sum, value) => sum + value, 0));
  }));
});
