/** What is counted, and as what. */

import assert from "node:assert/strict";
import type { Message } from "../../lib/events.ts";
import { Metrics } from "../../lib/admin/metrics.ts";
import { CLOSE_CODES, ERROR_CODES } from "../../lib/relay/vocabulary.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

const ALICE = { id: "alice", roomName: "", address: "192.0.2.1" };

function message(bytes: number, receivedAtMs = 0): Message {
  return { type: "offer", bytes, receivedAtMs };
}

function sum(counts: Iterable<number>): number {
  return [...counts].reduce((total, count) => total + count, 0);
}

testPure("Metrics count a direct message once, with its size and its time", () => {
  const clock = new FakeClock();
  const metrics = new Metrics(clock);
  clock.advance(3);
  metrics.sent(ALICE, "bob", message(5, 1));
  assert.equal(metrics.direct, 1);
  assert.equal(metrics.deliveries, 1);
  assert.equal(metrics.broadcasts, 0);
  assert.equal(metrics.messageBytes.sum, 5);
  assert.equal(metrics.relaySeconds.sum, 0.002);
});

testPure("Metrics count a broadcast once, and a delivery for each recipient", () => {
  const metrics = new Metrics(new FakeClock());
  metrics.broadcast(ALICE, 3, message(2));
  metrics.broadcast(ALICE, 0, message(2));
  assert.equal(metrics.broadcasts, 2);
  assert.equal(metrics.deliveries, 3);
  assert.equal(metrics.direct, 0);
  assert.equal(metrics.messageBytes.count, 2);
  assert.equal(metrics.relaySeconds.count, 2);
});

testPure("Metrics count a kept message as delivered when it is, and never as relayed", () => {
  const metrics = new Metrics(new FakeClock());
  metrics.kept(ALICE, "bob", message(2));
  assert.equal(metrics.direct, 1);
  assert.equal(metrics.deliveries, 0);
  metrics.keptDelivered();
  assert.equal(metrics.direct, 1);
  assert.equal(metrics.deliveries, 1);
  assert.equal(metrics.messageBytes.count, 1);
  assert.equal(metrics.relaySeconds.count, 0);
});

testPure("Metrics have every error code from the start", () => {
  const metrics = new Metrics(new FakeClock());
  assert.deepEqual([...metrics.errors.keys()], [...ERROR_CODES]);
  assert.equal(sum(metrics.errors.values()), 0);
  for (const code of ERROR_CODES) metrics.failed(code);
  metrics.failed("rate_limited");
  assert.equal(metrics.errors.get("rate_limited"), 2);
  assert.equal(metrics.failures, ERROR_CODES.length + 1);
});

testPure("Metrics count a close by the server once, when it closes", () => {
  const metrics = new Metrics(new FakeClock());
  metrics.closing("overloaded");
  assert.equal(metrics.closes.get(1013), 1);
  metrics.disconnected("192.0.2.1", 0, "overloaded"); // it never answered
  assert.equal(metrics.closes.get(1013), 1);
  assert.equal(sum(metrics.closes.values()), 1);
});

testPure("Metrics count the end of a connection without a close frame as 1006", () => {
  const metrics = new Metrics(new FakeClock());
  metrics.disconnected("192.0.2.1", 0, null);
  assert.equal(metrics.closes.get(1006), 1);
});

testPure("Metrics have a bounded set of close codes, whatever clients close with", () => {
  const metrics = new Metrics(new FakeClock());
  const before = [...metrics.closes.keys()];
  for (let code = 1000; code < 5000; code++) metrics.disconnected("192.0.2.1", code, null);
  assert.deepEqual([...metrics.closes.keys()], before);
  assert.equal(sum(metrics.closes.values()), 4000);
  assert.equal(metrics.closes.get(1000), 1);
  for (const code of Object.values(CLOSE_CODES)) assert.equal(metrics.closes.get(code), 1);
});
