/** The limits of connections and held IDs, in all and by address. */

import assert from "node:assert/strict";
import { Capacity, networkOf } from "../../lib/relay/capacity.ts";
import { testPure } from "../helpers/pure.ts";

function setUp(maxConnections: number, maxConnectionsPerIp = 0) {
  const capacity = new Capacity({ maxConnections, maxConnectionsPerIp });
  const open = (count: number, address = "192.0.2.1") => {
    for (let n = 0; n < count; n++) capacity.countConnection(address, 1);
  };
  const hold = (count: number, address = "192.0.2.1") => {
    for (let n = 0; n < count; n++) capacity.countHeld(address, 1);
  };
  return { capacity, open, hold };
}

const FULL = { code: "server_full" };

testPure("hasCapacityForConnection counts connections, but not held IDs", () => {
  const { capacity, open, hold } = setUp(2);
  hold(1);
  open(1);
  assert(capacity.hasCapacityForConnection);
  open(1);
  assert(!capacity.hasCapacityForConnection);
  capacity.countConnection("192.0.2.1", -1);
  assert(capacity.hasCapacityForConnection);
});

testPure("checkClient() counts connections and held IDs together", () => {
  const { capacity, open, hold } = setUp(3);
  hold(1);
  open(2);
  capacity.checkClient("192.0.2.1", null);
  open(1);
  assert.throws(() => capacity.checkClient("192.0.2.1", null), FULL);
  capacity.checkClient("192.0.2.1", "192.0.2.2"); // it takes over the held ID
  capacity.countHeld("192.0.2.1", -1);
  capacity.checkClient("192.0.2.1", null);
});

testPure("checkClient() names the limit and its option", () => {
  for (
    const [max, maxPerIp, message] of [
      [1, 0, "1 client is connected or may resume (--max-connections)"],
      [2, 0, "2 clients are connected or may resume (--max-connections)"],
      [0, 1, "1 client of this address is connected or may resume (--max-connections-per-ip)"],
    ] as const
  ) {
    const { capacity, open } = setUp(max, maxPerIp);
    open(3);
    const expected = { message: `The server is full: ${message}. Come back later.` };
    assert.throws(() => capacity.checkClient("192.0.2.1", null), expected);
  }
});

testPure("checkClient() counts an address' connections and held IDs together", () => {
  const { capacity, open, hold } = setUp(0, 2);
  hold(1, "2001:db8::1");
  open(1, "2001:db8::2"); // the same /64
  capacity.checkClient("2001:db8::2", null);
  open(1, "2001:db8::3");
  assert.throws(() => capacity.checkClient("2001:db8::3", null), FULL);
  capacity.checkClient("2001:db8::3", "2001:db8::1");
  assert.throws(() => capacity.checkClient("2001:db8::3", "192.0.2.1"), FULL);
  capacity.checkClient("2001:db8:0:1::1", null);
});

testPure("hasCapacityForAddress() counts by network, and forgets unused networks", () => {
  const { capacity, open } = setUp(0, 2);
  open(2, "192.0.2.1");
  open(1, "192.0.2.2");
  const addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
  const fits = () => addresses.map((address) => capacity.hasCapacityForAddress(address));
  assert.deepEqual(fits(), [false, true, true]);
  capacity.countConnection("192.0.2.1", -1);
  assert.deepEqual(fits(), [true, true, true]);
});

testPure("the limit 0 means no limit, and at most half of any other limit may be held", () => {
  const { capacity, open, hold } = setUp(0);
  open(10_000);
  hold(10_000);
  capacity.checkClient("192.0.2.1", null);
  assert(capacity.hasCapacityForConnection && capacity.hasCapacityForAddress("192.0.2.1"));
  const maxHeld = [0, 1, 2, 3, 5, 10_000].map((limit) => setUp(limit).capacity.maxHeld);
  assert.deepEqual(maxHeld, [Infinity, 1, 1, 1, 2, 5000]);
});

testPure("networkOf() keeps IPv4 whole, and the first 64 bits of IPv6", () => {
  for (
    const [address, network] of [
      ["192.0.2.1", "192.0.2.1"],
      ["2001:db8::1", "2001:db8:0:0::/64"],
      ["2001:0DB8:0:0:1:2:3:4", "2001:db8:0:0::/64"],
      ["2001:db8:1:2:3::", "2001:db8:1:2::/64"],
      ["fe80::1%eth0", "fe80:0:0:0::/64"],
      ["::1", "0:0:0:0::/64"],
      ["::", "0:0:0:0::/64"],
      ["", ""],
    ] as const
  ) {
    assert.equal(networkOf(address), network);
  }
});
