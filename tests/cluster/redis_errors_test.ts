/** Errors that the operator reads when Redis cannot be reached. */

import assert from "node:assert/strict";
import { WrongServer } from "../../lib/cluster/redis.ts";
import { explain } from "../../lib/cluster/redis_errors.ts";
import { testPure } from "../helpers/pure.ts";

const URL = "rediss://user:hush@redis.example:6380";

function withCode(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}

const CASES: readonly (readonly [error: unknown, explained: string])[] = [
  [withCode("ECONNREFUSED"), "nothing listens at redis.example:6380"],
  [withCode("ENOTFOUND"), "cannot resolve redis.example"],
  [withCode("EHOSTUNREACH"), "no route to redis.example:6380"],
  [new Error("Connection timeout"), "redis.example:6380 does not answer"],
  [
    new Error("Socket closed unexpectedly"),
    "Redis at redis.example:6380 has closed the connection",
  ],
  [
    new Error("WRONGPASS invalid username-password pair or user is disabled."),
    "Redis at redis.example:6380 does not accept the password in --redis",
  ],
  [
    new Error("NOAUTH HELLO must be called with the client already authenticated"),
    "Redis at redis.example:6380 wants a password: --redis redis://:password@redis.example:6380",
  ],
  [
    new Error("NOPERM this user has no permissions to run the 'evalsha' command"),
    "Redis at redis.example:6380 does not allow its user all that is needed (see the ACL in cluster.md): " +
    "NOPERM this user has no permissions to run the 'evalsha' command",
  ],
  [
    new WrongServer("cluster master"),
    "redis.example:6380 is a node of a Redis Cluster: " +
    "--redis has to name a single Redis, or several of them",
  ],
  [
    new WrongServer("sentinel master"),
    "redis.example:6380 is a Sentinel: --redis has to name a Redis, by a name that follows the primary",
  ],
  [
    new WrongServer("standalone replica"),
    "Redis at redis.example:6380 is a replica: --redis has to name the primary",
  ],
  [new Error("no reply"), "Redis at redis.example:6380: no reply"],
  ["odd", "Redis at redis.example:6380: odd"],
];

testPure("explain() names the trouble with Redis, without the secrets", () => {
  for (const [error, explained] of CASES) assert.equal(explain(error, URL), explained);
});

testPure("explain() names the default port if the URL has none", () => {
  assert.equal(
    explain(withCode("ECONNREFUSED"), "redis://[::1]"),
    "nothing listens at [::1]:6379",
  );
});
