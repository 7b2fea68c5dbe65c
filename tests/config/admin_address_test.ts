/** The value of --admin. */

import assert from "node:assert/strict";
import { isLoopback, readAdminAddress, writeAddress } from "../../lib/config/admin_address.ts";
import { testPure } from "../helpers/pure.ts";

testPure("readAdminAddress() reads names, IPv4 and IPv6, and off", () => {
  assert.deepEqual(readAdminAddress("127.0.0.1:8766"), { hostname: "127.0.0.1", port: 8766 });
  assert.deepEqual(readAdminAddress("[::1]:0"), { hostname: "::1", port: 0 });
  assert.deepEqual(readAdminAddress("admin.internal:65535"), {
    hostname: "admin.internal",
    port: 65535,
  });
  assert.equal(readAdminAddress("off"), null);
});

testPure("readAdminAddress() refuses what is no address with a port", () => {
  const wrong = ["", "8766", "127.0.0.1", ":8766", "127.0.0.1:", "127.0.0.1:65536", "::1:8766"];
  wrong.push("[127.0.0.1]:1", "[localhost]:1", "a b:1", "http://a:1", "a:1/", "a:-1", "OFF");
  for (const text of wrong) assert.throws(() => readAdminAddress(text), RangeError, text);
});

testPure("writeAddress() writes what readAdminAddress() reads", () => {
  for (const text of ["127.0.0.1:8766", "[::1]:8766", "localhost:1"]) {
    assert.equal(writeAddress(readAdminAddress(text)!), text);
  }
});

testPure("isLoopback() is true only of what no other machine can reach", () => {
  for (const own of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) assert.ok(isLoopback(own), own);
  const open = ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org", "128.0.0.1", "example.org"];
  for (const hostname of open) assert.ok(!isLoopback(hostname), hostname);
});
