/** Nobody gets more than the limit, and everybody who keeps to it gets all of it. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { AddressCounter, broadcastCost, TokenBucket } from "../../lib/relay/rate_limit.ts";
import { testPure } from "../helpers/pure.ts";

testPure("TokenBucket.take() gives a burst at once, then as many as the rate", () => {
  const bucket = new TokenBucket(10, 3, 5000);
  const taken = [5000, 5000, 5000, 5000, 5099, 5100, 5100, 5200].map((nowMs) =>
    bucket.take(1, nowMs)
  );
  assert.deepEqual(taken, [true, true, true, false, false, true, false, true]);
});

testPure("TokenBucket.take() saves up no more than a burst", () => {
  const bucket = new TokenBucket(10, 3, 0);
  const hourMs = 3_600_000;
  const taken = [1, 1, 1, 1].map((cost) => bucket.take(cost, hourMs));
  assert.deepEqual(taken, [true, true, true, false]);
});

testPure("TokenBucket.take() that is refused takes nothing", () => {
  const bucket = new TokenBucket(1, 5, 0);
  assert(bucket.take(3, 0));
  assert(!bucket.take(3, 0));
  assert(bucket.take(2, 0));
});

testPure("TokenBucket.take() asks a burst for what costs more than one", () => {
  const bucket = new TokenBucket(1, 5, 0);
  assert(bucket.take(1000, 0));
  assert(!bucket.take(1, 0));
  assert(!bucket.take(1000, 4999));
  assert(bucket.take(1000, 5000));
});

testPure("TokenBucket without a rate refuses nothing", () => {
  const bucket = new TokenBucket(0, 1, 0);
  for (let n = 0; n < 1000; n++) assert(bucket.take(1000, 0));
});

const rate = fc.integer({ min: 1, max: 1000 });
const burst = fc.integer({ min: 1, max: 500 });

testPure("TokenBucket accepts no more than a burst and the rate, over any stretch of time", () => {
  const ask = fc.record({ afterMs: fc.nat(200), cost: fc.integer({ min: 1, max: 5 }) });
  const asks = fc.array(ask, { maxLength: 100, size: "max" });
  fc.assert(
    fc.property(rate, burst, asks, (perSecond, burst, asks) => {
      const bucket = new TokenBucket(perSecond, burst, 0);
      const accepted: { readonly atMs: number; readonly cost: number }[] = [];
      let nowMs = 0;
      for (const { afterMs, cost } of asks) {
        nowMs += afterMs;
        const price = Math.min(cost, burst);
        if (bucket.take(cost, nowMs)) accepted.push({ atMs: nowMs, cost: price });
      }
      for (const [first, { atMs: fromMs }] of accepted.entries()) {
        let total = 0;
        for (const { atMs, cost } of accepted.slice(first)) {
          total += cost;
          assert(total <= burst + perSecond * (atMs - fromMs) / 1000 + 1e-6);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

testPure("TokenBucket refuses nobody who keeps to the rate", () => {
  fc.assert(
    fc.property(rate, burst, fc.integer({ min: 1, max: 300 }), (perSecond, burst, count) => {
      const bucket = new TokenBucket(perSecond, burst, 0);
      for (let n = 0; n < burst; n++) assert(bucket.take(1, 0));
      const intervalMs = Math.ceil(1000 / perSecond);
      for (let n = 1; n <= count; n++) assert(bucket.take(1, n * intervalMs));
    }),
    { numRuns: 500 },
  );
});

testPure("broadcastCost() is one for every 20 recipients or part of them, at least one", () => {
  const costs = [0, 1, 20, 21, 40, 41, 10_000].map(broadcastCost);
  assert.deepEqual(costs, [1, 1, 1, 2, 2, 3, 500]);
});

testPure("AddressCounter counts by address, and forgets those of which none is left", () => {
  const counter = new AddressCounter();
  for (const address of ["a", "a", "b"]) counter.add(address);
  assert.deepEqual(["a", "b", "c"].map((address) => counter.get(address)), [2, 1, 0]);
  for (const address of ["a", "b", "b", "c"]) counter.remove(address);
  assert.deepEqual(["a", "b", "c"].map((address) => counter.get(address)), [1, 0, 0]);
});
