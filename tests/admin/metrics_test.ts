/** Counters and histograms of events. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Event, MessageInfo } from "../../lib/events.ts";
import { Histogram, Metrics, metricsText } from "../../lib/admin/metrics.ts";
import { CLOSE_CODES, type CloseReason, ERROR_CODES } from "../../lib/relay/vocabulary.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

const ALICE = { id: "alice", roomName: "", address: "192.0.2.1", dialect: null };

function message(bytes: number, receivedAtMs = 0): MessageInfo {
  return { type: "offer", bytes, receivedAtMs };
}

function closed(code: number, reason: CloseReason | null = null): Event {
  return { kind: "connection_closed", address: "192.0.2.1", code, reason };
}

function sum(counts: Iterable<number>): number {
  return [...counts].reduce((total, count) => total + count, 0);
}

testPure("Metrics count a direct message once, with its size and its time", () => {
  const clock = new FakeClock();
  const metrics = new Metrics(clock);
  clock.advance(3);
  metrics.observe({ kind: "sent", from: ALICE, targetId: "bob", message: message(5, 1) });
  assert.equal(metrics.counts.direct, 1);
  assert.equal(metrics.counts.deliveries, 1);
  assert.equal(metrics.counts.broadcasts, 0);
  assert.equal(metrics.messageBytes.sum, 5);
  assert.equal(metrics.relaySeconds.sum, 0.002);
});

testPure("Metrics count a broadcast once, and a delivery for each recipient", () => {
  const metrics = new Metrics(new FakeClock());
  metrics.observe({ kind: "broadcast", from: ALICE, recipients: 3, message: message(2) });
  metrics.observe({ kind: "broadcast", from: ALICE, recipients: 0, message: message(2) });
  assert.equal(metrics.counts.broadcasts, 2);
  assert.equal(metrics.counts.deliveries, 3);
  assert.equal(metrics.counts.direct, 0);
  assert.equal(metrics.messageBytes.count, 2);
  assert.equal(metrics.relaySeconds.count, 2);
});

testPure("Metrics count a stored message as delivered when it is, and never as relayed", () => {
  const metrics = new Metrics(new FakeClock());
  metrics.observe({ kind: "stored", from: ALICE, targetId: "bob", message: message(2) });
  assert.equal(metrics.counts.direct, 1);
  assert.equal(metrics.counts.deliveries, 0);
  metrics.observe({ kind: "stored_delivered", client: ALICE });
  assert.equal(metrics.counts.direct, 1);
  assert.equal(metrics.counts.deliveries, 1);
  assert.equal(metrics.messageBytes.count, 1);
  assert.equal(metrics.relaySeconds.count, 0);
});

testPure("Metrics have every error code from the start", () => {
  const metrics = new Metrics(new FakeClock());
  assert.deepEqual([...metrics.errors.keys()], [...ERROR_CODES]);
  assert.equal(sum(metrics.errors.values()), 0);
  for (const code of ERROR_CODES) metrics.observe({ kind: "error_sent", code, subject: ALICE });
  metrics.observe({ kind: "error_sent", code: "rate_limited", subject: ALICE });
  assert.equal(metrics.errors.get("rate_limited"), 2);
  assert.equal(metrics.counts.errors, ERROR_CODES.length + 1);
});

testPure("Metrics count a close by the server once, when it closes", () => {
  const metrics = new Metrics(new FakeClock());
  metrics.observe({ kind: "closing", reason: "overloaded", subject: ALICE });
  assert.equal(metrics.closes.get(1013), 1);
  metrics.observe(closed(0, "overloaded")); // it never answered
  assert.equal(metrics.closes.get(1013), 1);
  assert.equal(sum(metrics.closes.values()), 1);
});

testPure("Metrics count the end of a connection without a close frame as 1006", () => {
  const metrics = new Metrics(new FakeClock());
  metrics.observe(closed(0));
  assert.equal(metrics.closes.get(1006), 1);
});

testPure("Metrics have a bounded set of close codes, whatever clients close with", () => {
  const metrics = new Metrics(new FakeClock());
  const before = [...metrics.closes.keys()];
  for (let code = 1000; code < 5000; code++) metrics.observe(closed(code));
  assert.deepEqual([...metrics.closes.keys()], before);
  assert.equal(sum(metrics.closes.values()), 4000);
  assert.equal(metrics.closes.get(1000), 1);
  for (const code of Object.values(CLOSE_CODES)) assert.equal(metrics.closes.get(code), 1);
});

testPure("Metrics count refused upgrades by their status", () => {
  const metrics = new Metrics(new FakeClock());
  const refusal = { kind: "connection_refused", address: "192.0.2.1", message: "" } as const;
  for (const status of [403, 503, 403]) metrics.observe({ ...refusal, status });
  const counted = [...metrics.refusals].filter(([, count]) => count > 0);
  assert.deepEqual(counted, [[403, 2], [503, 1]]);
});

testPure("Metrics have a gauge of the cluster if there is one", () => {
  const metrics = new Metrics(new FakeClock());
  const lines = [null, true, false].map((isClusterUp) => {
    const server = { connections: [], clients: 0, storedMessages: 0, isClusterUp };
    return metricsText("test", metrics, server).match(/^signalbox_cluster_up .*$/m)?.[0];
  });
  assert.deepEqual(lines, [undefined, "signalbox_cluster_up 1", "signalbox_cluster_up 0"]);
});

testPure("Histogram.observe() puts a value that equals a bound below it", () => {
  const histogram = new Histogram([1, 2, 4]);
  for (const value of [0, 1, 1.5, 2, 5]) histogram.observe(value);
  assert.deepEqual(histogram.buckets(), [[1, 2], [2, 4], [4, 4]]);
  assert.equal(histogram.count, 5);
  assert.equal(histogram.sum, 9.5);
});

testPure("Histogram.buckets() counts the values that are not above each bound", () => {
  const bounds = [-10, 0, 7, 1000];
  fc.assert(fc.property(fc.array(fc.integer({ min: -2000, max: 2000 })), (values) => {
    const histogram = new Histogram(bounds);
    for (const value of values) histogram.observe(value);
    const expected = bounds.map((max) => [max, values.filter((value) => value <= max).length]);
    assert.deepEqual(histogram.buckets(), expected);
    assert.equal(histogram.count, values.length);
    assert.equal(histogram.sum, values.reduce((sum, value) => sum + value, 0));
  }));
});
