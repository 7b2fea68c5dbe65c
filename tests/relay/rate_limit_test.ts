/** No client exceeds the limit, and a client within it is never refused. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { broadcastFactor, messageCost, TokenBucket } from "../../lib/relay/rate_limit.ts";
import { testPure } from "../helpers/pure.ts";

testPure("take() allows a burst at once, then the rate", () => {
  const bucket = new TokenBucket(10, 3, 5000);
  const taken = [5000, 5000, 5000, 5000, 5099, 5100, 5100, 5200].map((nowMs) =>
    bucket.take(1, nowMs)
  );
  assert.deepEqual(taken, [true, true, true, false, false, true, false, true]);
});

testPure("take() saves up no more than a burst", () => {
  const bucket = new TokenBucket(10, 3, 0);
  const hourMs = 3_600_000;
  const taken = [1, 1, 1, 1].map((cost) => bucket.take(cost, hourMs));
  assert.deepEqual(taken, [true, true, true, false]);
});

testPure("take() takes nothing if it refuses", () => {
  const bucket = new TokenBucket(1, 5, 0);
  assert(bucket.take(3, 0));
  assert(!bucket.take(3, 0));
  assert(bucket.take(2, 0));
});

testPure("take() takes a burst for a higher cost", () => {
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

testPure("TokenBucket allows no more than a burst and the rate in any period", () => {
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

testPure("TokenBucket refuses no client within the rate", () => {
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

testPure("messageCost() is one token for each 16 KiB begun, at least one", () => {
  const KiB = 1024;
  const sizes = [0, 1, 16 * KiB, 16 * KiB + 1, 32 * KiB, 32 * KiB + 1, 256 * KiB];
  assert.deepEqual(sizes.map(messageCost), [1, 1, 1, 2, 2, 3, 16]);
});

testPure("broadcastFactor() is one for each 20 recipients begun, at least one", () => {
  const factors = [0, 1, 20, 21, 40, 41, 10_000].map((recipients) => broadcastFactor(recipients));
  assert.deepEqual(factors, [1, 1, 1, 2, 2, 3, 500]);
  assert.equal(broadcastFactor(41, 40), 2);
});
