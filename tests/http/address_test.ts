/** A client's address is the connection's own, or what a trusted proxy says, and nobody else's word counts. */

import assert from "node:assert/strict";
import { clientAddress, networkOf, readTrustedProxies } from "../../lib/http/address.ts";
import { testPure } from "../helpers/pure.ts";

/** Those of `addresses` that `list` trusts. */
function trusted(list: string, addresses: readonly string[]): string[] {
  const isTrusted = readTrustedProxies(list);
  return addresses.filter((address) => isTrusted?.(address));
}

testPure("readTrustedProxies() takes single addresses, IPv4 and IPv6", () => {
  const addresses = ["10.0.0.7", "10.0.0.8", "2001:db8::7", "2001:db8::8"];
  assert.deepEqual(trusted("10.0.0.7,2001:db8::7", addresses), ["10.0.0.7", "2001:db8::7"]);
  assert.deepEqual(trusted(" 10.0.0.8 , 2001:DB8:0::8 ", addresses), ["10.0.0.8", "2001:db8::8"]);
});

testPure("readTrustedProxies() takes networks, to the bit", () => {
  const v4 = ["192.0.2.0", "192.0.2.127", "192.0.2.128", "192.0.3.0"];
  assert.deepEqual(trusted("192.0.2.0/25", v4), v4.slice(0, 2));
  assert.deepEqual(trusted("192.0.2.77/24", v4), v4.slice(0, 3));
  assert.deepEqual(trusted("192.0.2.128/32", v4), [v4[2]]);
  assert.deepEqual(trusted("0.0.0.0/0", v4), v4);
  const v6 = ["2001:db8::1", "2001:db8:0:1::1", "2001:db9::1"];
  assert.deepEqual(trusted("2001:db8::/64", v6), v6.slice(0, 1));
  assert.deepEqual(trusted("2001:db8::/32", v6), v6.slice(0, 2));
  assert.deepEqual(trusted("::/0", v6), v6);
});

testPure(
  "readTrustedProxies() takes 1 and true for loopback and private ranges, and nothing more",
  () => {
    const inside = [
      "127.0.0.1",
      "127.255.255.255",
      "10.0.0.1",
      "172.16.0.1",
      "172.31.255.255",
      "192.168.1.1",
      "169.254.1.1",
      "::1",
      "fc00::1",
      "fdff::1",
      "fe80::1",
    ];
    const outside = [
      "126.255.255.255",
      "128.0.0.1",
      "11.0.0.1",
      "172.15.255.255",
      "172.32.0.1",
      "192.167.1.1",
      "192.169.1.1",
      "8.8.8.8",
      "::",
      "::2",
      "fbff::1",
      "fe00::1",
      "2001:db8::1",
    ];
    for (const bare of ["1", "true"]) {
      assert.deepEqual(trusted(bare, [...inside, ...outside]), inside);
    }
  },
);

testPure("readTrustedProxies() takes 0 and false for nobody", () => {
  assert.equal(readTrustedProxies("0"), null);
  assert.equal(readTrustedProxies("false"), null);
});

testPure("readTrustedProxies() trusts nothing that is no address", () => {
  assert.deepEqual(
    trusted("0.0.0.0/0,::/0", ["", "localhost", "10.0.0", "10.0.0.7/32", "unix"]),
    [],
  );
});

testPure("readTrustedProxies() refuses what is no address and no network", () => {
  const lists = [
    "",
    ",",
    "10.0.0.7,",
    "10.0.0",
    "10.0.0.256",
    "010.0.0.1",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0.0/8.0",
    "2001:db8::/129",
    "fe80::1%eth0",
    "[::1]",
    "localhost",
    "10.0.0.7 10.0.0.8",
    "yes",
  ];
  const message =
    "a comma-separated list of addresses and networks such as 10.0.0.7,192.168.0.0/16";
  for (const list of lists) {
    assert.throws(() => readTrustedProxies(list), { name: "RangeError", message }, list);
  }
});

const PROXY = "10.0.0.7";
const isProxy = (address: string) => address === PROXY;

testPure(
  "clientAddress() is the connection's own where nobody is trusted or nothing is said",
  () => {
    assert.equal(clientAddress("192.0.2.1", null, null), "192.0.2.1");
    assert.equal(clientAddress(PROXY, "203.0.113.5", null), PROXY);
    assert.equal(clientAddress(PROXY, null, isProxy), PROXY);
  },
);

testPure("clientAddress() does not believe a client that it is a proxy", () => {
  assert.equal(clientAddress("192.0.2.1", "203.0.113.5", isProxy), "192.0.2.1");
});

testPure(
  "clientAddress() takes the last entry of a trusted proxy: those before it are hearsay",
  () => {
    for (
      const [forwardedFor, expected] of [
        ["203.0.113.5", "203.0.113.5"],
        ["127.0.0.1, 203.0.113.5", "203.0.113.5"],
        ["127.0.0.1,, ,203.0.113.5 ", "203.0.113.5"],
        ["2001:db8::5", "2001:db8::5"],
        ["x, ::ffff:203.0.113.5", "203.0.113.5"],
      ] as const
    ) {
      assert.equal(clientAddress(PROXY, forwardedFor, isProxy), expected);
    }
  },
);

testPure("clientAddress() falls back to the proxy's address where its last entry is none", () => {
  for (
    const forwardedFor of [
      "",
      ",",
      "unknown",
      "203.0.113.5,",
      "203.0.113.5:99",
      "[::1]",
      "a\n1.2.3.4",
    ]
  ) {
    assert.equal(clientAddress(PROXY, forwardedFor, isProxy), PROXY);
  }
});

testPure("clientAddress() writes IPv4 in IPv6 as IPv4, and so recognises a proxy by it", () => {
  assert.equal(clientAddress("::ffff:192.0.2.1", null, null), "192.0.2.1");
  assert.equal(clientAddress("::FFFF:192.0.2.1", null, null), "192.0.2.1");
  assert.equal(clientAddress(`::ffff:${PROXY}`, "203.0.113.5", isProxy), "203.0.113.5");
  assert.equal(clientAddress("2001:db8::ffff:1", null, null), "2001:db8::ffff:1");
});

testPure("networkOf() is the address itself for IPv4, and the first 64 bits for IPv6", () => {
  for (
    const [address, network] of [
      ["192.0.2.1", "192.0.2.1"],
      ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
      ["2001:0DB8:0001:0002::9", "2001:db8:1:2::/64"],
      ["2001:db8::", "2001:db8:0:0::/64"],
      ["2001:db8::5", "2001:db8:0:0::/64"],
      ["::1", "0:0:0:0::/64"],
      ["1::2:3:4:5:6:7", "1:0:2:3::/64"],
      ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
      ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ] as const
  ) {
    assert.equal(networkOf(address), network);
  }
});
