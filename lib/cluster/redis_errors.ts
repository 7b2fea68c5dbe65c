/** Explains errors of Redis to the operator. */

import { messageOf } from "../log.ts";

/** Codes, or first words of messages, and their meanings. `{address}` stands for the host and port of Redis. */
const MEANINGS: readonly (readonly [sign: string, meaning: string])[] = [
  ["ECONNREFUSED", "nothing listens at {address}"],
  ["ENOTFOUND", "cannot resolve {host}"],
  ["EAI_AGAIN", "cannot resolve {host}"],
  ["EHOSTUNREACH", "no route to {address}"],
  ["ENETUNREACH", "no route to {address}"],
  ["Connection timeout", "{address} does not answer"],
  ["ETIMEDOUT", "{address} does not answer"],
  ["Socket closed unexpectedly", "Redis at {address} has closed the connection"],
  ["ECONNRESET", "Redis at {address} has closed the connection"],
  ["WRONGPASS", "Redis at {address} does not accept the password in --redis"],
  ["NOAUTH", "Redis at {address} wants a password: --redis redis://:password@{address}"],
  ["NOPERM", "{rights}"],
  ["ERR The user executing the script", "{rights}"],
  ["ERR ACL failure", "{rights}"],
  ["NOPROTO", "Redis at {address} is too old: it has to be 6.2 or later, or Valkey"],
  ["NOSCRIPT", "the scripts were removed from Redis at {address}"],
  ["READONLY", "{replica}"],
  ["standalone", "{replica}"],
  [
    "cluster",
    "{address} is a node of a Redis Cluster: --redis has to name a single Redis, or several of them",
  ],
  [
    "sentinel",
    "{address} is a Sentinel: --redis has to name a Redis, by a name that follows the primary",
  ],
  ["OOM", "Redis at {address} is full: raise its maxmemory"],
  [
    "another list",
    "Redis at {address} has nodes with another list of --redis: give all nodes the same list",
  ],
];

/** Meanings that several errors have. */
const SHARED: Readonly<Record<string, string>> = {
  "{replica}": "Redis at {address} is a replica: --redis has to name the primary",
  "{rights}": "Redis at {address} does not allow its user all that is needed " +
    "(see the ACL in cluster.md): {message}",
};

/**
 * Explains an error of the Redis client, without the secrets of the URL.
 *
 * @param url the value of `--redis`
 */
export function explain(error: unknown, url: string): string {
  const message = messageOf(error);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const [, meaning] = MEANINGS.find(([sign]) => code === sign || message.startsWith(sign)) ??
    ["", "Redis at {address}: {message}"];
  const { hostname, port } = new URL(url);
  return (SHARED[meaning] ?? meaning).replaceAll("{address}", `${hostname}:${port || 6379}`)
    .replaceAll("{host}", hostname).replaceAll("{message}", message);
}
