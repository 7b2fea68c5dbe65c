/** The networks of --trust-proxy, as people write them. */

import assert from "node:assert/strict";
import { readNetworks } from "../../lib/config/parse.ts";
import { testPure } from "../helpers/pure.ts";

/** Those of `addresses` that `list` trusts. */
function trusted(list: string, addresses: readonly string[]): string[] {
  const isTrusted = readNetworks(list);
  return addresses.filter((address) => isTrusted?.(address));
}

testPure("readNetworks() takes single addresses, IPv4 and IPv6", () => {
  const addresses = ["10.0.0.7", "10.0.0.8", "2001:db8::7", "2001:db8::8"];
  assert.deepEqual(trusted("10.0.0.7,2001:db8::7", addresses), ["10.0.0.7", "2001:db8::7"]);
  assert.deepEqual(trusted(" 10.0.0.8 , 2001:DB8:0::8 ", addresses), ["10.0.0.8", "2001:db8::8"]);
});

testPure("readNetworks() takes networks, to the bit", () => {
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

testPure("readNetworks() takes 1 and true for loopback and private ranges alone", () => {
  const inside = [
    "127.0.0.1",
    "127.255.255.255",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
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
    "100.63.255.255",
    "100.128.0.1",
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
});

testPure("readNetworks() takes 0 and false for no network", () => {
  assert.equal(readNetworks("0"), null);
  assert.equal(readNetworks("false"), null);
});

testPure("readNetworks() trusts nothing that is no address", () => {
  assert.deepEqual(
    trusted("0.0.0.0/0,::/0", ["", "localhost", "10.0.0", "10.0.0.7/32", "unix"]),
    [],
  );
});

testPure("readNetworks() refuses what is no address and no network", () => {
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
    assert.throws(() => readNetworks(list), { name: "RangeError", message }, list);
  }
});
