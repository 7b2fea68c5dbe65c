/** Which addresses count as one. */

import assert from "node:assert/strict";
import { networkOf } from "../../lib/http/address.ts";
import { testPure } from "../helpers/pure.ts";

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
