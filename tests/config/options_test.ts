/** Every option holds as it was given: by flag, by variable, by default; and each mistake is told in one clear line. */

import assert from "node:assert/strict";
import {
  type GivenOptions,
  type Options,
  readOptions,
  SETTINGS,
  UsageError,
} from "../../lib/config/options.ts";
import { testPure } from "../helpers/pure.ts";

type Name = keyof Options;

interface Expectation {
  readonly flag: string;
  readonly variable: string;
  /** What holds where nothing is given. */
  readonly byDefault: unknown;
  readonly good: readonly (readonly [written: string, value: unknown])[];
  readonly bad: readonly string[];
  /** What a mistake is told; without the part that quotes it. */
  readonly takes: string;
  /** Others that it needs beside it. */
  readonly with?: GivenOptions;
}

const A_DURATION = "a duration such as 500ms, 10s, 5m or 1h, of 24 days at the most";
const SOME_DURATION = "a duration of more than 0, such as 500ms, 10s, 5m or 1h";
const A_COUNT = "a whole number of at least 0";
const A_SIZE = "a size of at least 1 byte, such as 65536, 64KiB or 1MiB";
const A_VALUE = "a value that is not empty";
const A_SECRET = "correct horse battery staple, 32+";
const SOME_ICE_URLS =
  "STUN or TURN URLs such as stun:stun.example.org:3478 or turn:turn.example.org?transport=udp";

const EXPECTED: Readonly<Record<Name, Expectation>> = {
  host: {
    flag: "--host",
    variable: "SIGNALBOX_HOST",
    byDefault: "0.0.0.0",
    good: [["127.0.0.1", "127.0.0.1"], ["::", "::"]],
    bad: [""],
    takes: A_VALUE,
  },
  port: {
    flag: "--port",
    variable: "SIGNALBOX_PORT",
    byDefault: 8765,
    good: [["0", 0], ["65535", 65535]],
    bad: ["65536", "-1", "http", "80.5"],
    takes: "a whole number from 0 to 65535",
  },
  admin: {
    flag: "--admin",
    variable: "SIGNALBOX_ADMIN",
    byDefault: undefined,
    good: [
      ["off", null],
      ["127.0.0.1:0", { hostname: "127.0.0.1", port: 0 }],
      ["localhost:8766", { hostname: "localhost", port: 8766 }],
      ["[::1]:65535", { hostname: "::1", port: 65535 }],
    ],
    bad: ["", "8766", "127.0.0.1", "127.0.0.1:65536", "::1:8766", "[127.0.0.1]:1", "on"],
    takes: "an address with a port such as 127.0.0.1:8766 or [::1]:8766, or off",
  },
  adminPassword: {
    flag: "--admin-password",
    variable: "SIGNALBOX_ADMIN_PASSWORD",
    byDefault: undefined,
    good: [["hush", "hush"]],
    bad: [""],
    takes: "a password of at least one character",
  },
  noPage: {
    flag: "--no-page",
    variable: "SIGNALBOX_NO_PAGE",
    byDefault: undefined,
    good: [["1", true], ["true", true], ["0", false], ["false", false]],
    bad: ["yes", "on", "TRUE"],
    takes: "1 or true, 0 or false",
  },
  tlsCert: {
    flag: "--tls-cert",
    variable: "SIGNALBOX_TLS_CERT",
    byDefault: undefined,
    good: [["/etc/tls/cert.pem", "/etc/tls/cert.pem"]],
    bad: [""],
    takes: A_VALUE,
    with: { tlsKey: "key.pem" },
  },
  tlsKey: {
    flag: "--tls-key",
    variable: "SIGNALBOX_TLS_KEY",
    byDefault: undefined,
    good: [["/etc/tls/key.pem", "/etc/tls/key.pem"]],
    bad: [""],
    takes: A_VALUE,
    with: { tlsCert: "cert.pem" },
  },
  logLevel: {
    flag: "--log-level",
    variable: "SIGNALBOX_LOG_LEVEL",
    byDefault: "info",
    good: [["debug", "debug"], ["info", "info"], ["warn", "warn"], ["error", "error"]],
    bad: ["verbose", "INFO", "warning"],
    takes: "one of debug, info, warn, error",
  },
  logFormat: {
    flag: "--log-format",
    variable: "SIGNALBOX_LOG_FORMAT",
    byDefault: "text",
    good: [["text", "text"], ["json", "json"]],
    bad: ["xml"],
    takes: "one of text, json",
  },
  onDuplicate: {
    flag: "--on-duplicate",
    variable: "SIGNALBOX_ON_DUPLICATE",
    byDefault: "replace",
    good: [["replace", "replace"], ["reject", "reject"]],
    bad: ["refuse"],
    takes: "one of replace, reject",
  },
  registerTimeoutMs: {
    flag: "--register-timeout",
    variable: "SIGNALBOX_REGISTER_TIMEOUT",
    byDefault: 10_000,
    good: [["250ms", 250], ["1m", 60_000]],
    bad: ["0", "0s"],
    takes: SOME_DURATION,
  },
  idleTimeoutMs: {
    flag: "--idle-timeout",
    variable: "SIGNALBOX_IDLE_TIMEOUT",
    byDefault: 30_000,
    good: [["0", 0], ["90s", 90_000]],
    bad: ["30", "half an hour"],
    takes: A_DURATION,
  },
  maxConnections: {
    flag: "--max-connections",
    variable: "SIGNALBOX_MAX_CONNECTIONS",
    byDefault: 10_000,
    good: [["0", 0], ["5", 5]],
    bad: ["-1", "many"],
    takes: A_COUNT,
  },
  maxConnectionsPerIp: {
    flag: "--max-connections-per-ip",
    variable: "SIGNALBOX_MAX_CONNECTIONS_PER_IP",
    byDefault: 0,
    good: [["0", 0], ["5", 5]],
    bad: ["-1"],
    takes: A_COUNT,
  },
  maxMemoryBytes: {
    flag: "--max-memory",
    variable: "SIGNALBOX_MAX_MEMORY",
    byDefault: undefined,
    good: [["512MiB", 536_870_912]],
    bad: ["0", "half", "off"],
    takes: A_SIZE,
  },
  maxMessageSizeBytes: {
    flag: "--max-message-size",
    variable: "SIGNALBOX_MAX_MESSAGE_SIZE",
    byDefault: 65_536,
    good: [["1MiB", 1_048_576], ["1000", 1000]],
    bad: ["0", "64K"],
    takes: A_SIZE,
  },
  maxBufferedBytes: {
    flag: "--max-buffered",
    variable: "SIGNALBOX_MAX_BUFFERED",
    byDefault: 1_048_576,
    good: [["2MiB", 2_097_152]],
    bad: ["0"],
    takes: A_SIZE,
  },
  rateLimitPerSecond: {
    flag: "--rate-limit",
    variable: "SIGNALBOX_RATE_LIMIT",
    byDefault: 100,
    good: [["0", 0], ["1000", 1000]],
    bad: ["0.5"],
    takes: A_COUNT,
  },
  rateBurst: {
    flag: "--rate-burst",
    variable: "SIGNALBOX_RATE_BURST",
    byDefault: 200,
    good: [["1", 1]],
    bad: ["0"],
    takes: "a whole number of at least 1",
  },
  mailboxTtlMs: {
    flag: "--mailbox-ttl",
    variable: "SIGNALBOX_MAILBOX_TTL",
    byDefault: 10_000,
    good: [["0", 0], ["1m", 60_000]],
    bad: ["10"],
    takes: A_DURATION,
  },
  resumeTtlMs: {
    flag: "--resume-ttl",
    variable: "SIGNALBOX_RESUME_TTL",
    byDefault: 30_000,
    good: [["0", 0], ["1m", 60_000]],
    bad: ["10"],
    takes: A_DURATION,
  },
  allowOrigins: {
    flag: "--allow-origin",
    variable: "SIGNALBOX_ALLOW_ORIGIN",
    byDefault: undefined,
    good: [
      ["https://example.org", ["https://example.org"]],
      ["https://a.example, http://b.example:81", ["https://a.example", "http://b.example:81"]],
    ],
    bad: ["*", "https://a.example,", "https://a.example/x"],
    takes: "an origin such as https://example.org or http://localhost:3000, without a path",
  },
  trustProxy: {
    flag: "--trust-proxy",
    variable: "SIGNALBOX_TRUST_PROXY",
    byDefault: undefined,
    good: [
      ["0", null],
      ["false", null],
      ["1", { trusts: ["10.1.2.3", "127.0.0.1"] }],
      ["true", { trusts: ["10.1.2.3", "127.0.0.1"] }],
      ["192.0.2.0/24, 127.0.0.1", { trusts: ["127.0.0.1"] }],
    ],
    bad: ["yes", "10.0.0.0/33", ","],
    takes: "a comma-separated list of addresses and networks such as 10.0.0.7,192.168.0.0/16",
  },
  authSecret: {
    flag: "--auth-secret",
    variable: "SIGNALBOX_AUTH_SECRET",
    byDefault: undefined,
    good: [[A_SECRET, A_SECRET], ["é".repeat(16), "é".repeat(16)]],
    bad: ["too short to be a secret", "x".repeat(31)],
    takes: "a secret of at least 32 bytes",
  },
  authJwks: {
    flag: "--auth-jwks",
    variable: "SIGNALBOX_AUTH_JWKS",
    byDefault: undefined,
    good: [["https://id.example/keys", "https://id.example/keys"]],
    bad: ["id.example", "file:///etc/keys"],
    takes: "a URL such as https://example.org/keys.json",
  },
  iceServers: {
    flag: "--ice-server",
    variable: "SIGNALBOX_ICE_SERVER",
    byDefault: undefined,
    good: [["stun:a.example,stuns:b.example:5349", ["stun:a.example", "stuns:b.example:5349"]]],
    bad: ["http://a.example", "stun:", "turn:a.example?transport=sctp"],
    takes: SOME_ICE_URLS,
  },
  turnSecret: {
    flag: "--turn-secret",
    variable: "SIGNALBOX_TURN_SECRET",
    byDefault: undefined,
    good: [["hush", "hush"]],
    bad: [""],
    takes: A_VALUE,
    with: { iceServers: "turn:a.example" },
  },
  turnTtlMs: {
    flag: "--turn-ttl",
    variable: "SIGNALBOX_TURN_TTL",
    byDefault: 3_600_000,
    good: [["12h", 43_200_000]],
    bad: ["0"],
    takes: SOME_DURATION,
  },
  redisUrl: {
    flag: "--redis",
    variable: "SIGNALBOX_REDIS",
    byDefault: undefined,
    good: [
      ["redis://127.0.0.1:6379", "redis://127.0.0.1:6379"],
      ["rediss://:hush@redis.example", "rediss://:hush@redis.example"],
    ],
    bad: ["127.0.0.1:6379", "http://:hush@redis.example", "localhost", "redis://:hush@a.example/1"],
    takes: "a URL such as redis://127.0.0.1:6379, without the number of a database",
  },
  drainTimeoutMs: {
    flag: "--drain-timeout",
    variable: "SIGNALBOX_DRAIN_TIMEOUT",
    byDefault: 5000,
    good: [["0", 0], ["1s", 1000]],
    bad: ["5"],
    takes: A_DURATION,
  },
};

/** A value as the table above writes it. */
function shown(value: unknown): unknown {
  if (value instanceof URL) return value.href;
  if (typeof value !== "function") return value;
  return { trusts: ["10.1.2.3", "127.0.0.1", "198.51.100.1"].filter((address) => value(address)) };
}

function holds(name: Name, given: GivenOptions, env: Record<string, string> = {}): unknown {
  return shown(readOptions({ ...EXPECTED[name].with, ...given }, env)[name]);
}

testPure("these tests know every option", () => {
  assert.deepEqual(Object.keys(SETTINGS), Object.keys(EXPECTED));
});

for (const [key, expectation] of Object.entries(EXPECTED)) {
  const name = key as Name;
  const { flag, variable, byDefault, good, bad, takes } = expectation;
  const isSecret = "secret" in SETTINGS[name];

  testPure(`${flag} is ${JSON.stringify(byDefault) ?? "off"} where nothing is given`, () => {
    assert.deepEqual(shown(readOptions({}, {})[name]), byDefault);
  });

  testPure(`${flag} holds as given, or else as ${variable} says`, () => {
    for (const [written, value] of good) {
      assert.deepEqual(holds(name, { [name]: written }), value);
      assert.deepEqual(holds(name, {}, { [variable]: written }), value);
      assert.deepEqual(holds(name, { [name]: written }, { [variable]: "overruled" }), value);
    }
    const [, value] = good[0]!;
    if (expectation.with === undefined) {
      assert.deepEqual(holds(name, {}, { [variable]: "" }), byDefault);
    }
    assert.notDeepEqual(value, undefined);
  });

  testPure(`${flag} tells a mistake in one line: what it takes, and what it got`, () => {
    for (const written of bad) {
      const got = isSecret ? "" : `, not ${JSON.stringify(written)}`;
      assert.throws(
        () => holds(name, { [name]: written }),
        new UsageError(`${flag} takes ${takes}${got}`),
      );
      if (written === "") continue; // an empty variable is none
      assert.throws(
        () => holds(name, {}, { [variable]: written }),
        new UsageError(`${variable} takes ${takes}${got}`),
      );
    }
  });
}

testPure("a mistake is told in one line, whatever was written", () => {
  for (const name of Object.keys(EXPECTED) as Name[]) {
    if (["tlsCert", "tlsKey", "host", "turnSecret", "adminPassword"].includes(name)) continue; // they take any text
    assert.throws(() => holds(name, { [name]: "a\nb\x1b[2J" }), (error) => {
      assert(error instanceof UsageError);
      assert.doesNotMatch(error.message, /\p{Cc}/u);
      return true;
    });
  }
});

/** Combinations that make no sense, and what is told. */
const MISTAKES: readonly (readonly [given: GivenOptions, message: string])[] = [
  [{ tlsCert: "cert.pem" }, "--tls-cert and --tls-key go together: one of them is missing"],
  [{ tlsKey: "key.pem" }, "--tls-cert and --tls-key go together: one of them is missing"],
  [
    { iceServers: "stun:a.example,turn:b.example" },
    "--ice-server with a TURN URL needs --turn-secret for its credentials",
  ],
  [
    { turnSecret: "hush", iceServers: "stun:a.example" },
    "--turn-secret needs an --ice-server with a TURN URL to be used for",
  ],
  [{ turnSecret: "hush" }, "--turn-secret needs an --ice-server with a TURN URL to be used for"],
];

for (const [given, message] of MISTAKES) {
  testPure(`readOptions() refuses ${Object.keys(given).join(" with ")}: ${message}`, () => {
    assert.throws(() => readOptions(given, {}), new UsageError(message));
  });
}

testPure("readOptions() ignores variables that are none of its own", () => {
  const env = { SIGNALBOX_NONSENSE: "1", PORT: "1", SIGNALBOX_: "x", HOME: "/root" };
  assert.deepEqual(readOptions({}, env), readOptions({}, {}));
});
