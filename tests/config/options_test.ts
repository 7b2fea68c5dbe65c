/** Every option is in force as it was given: by flag, variable, file or default; each error makes one clear line. */

import assert from "node:assert/strict";
import {
  type Environment,
  findUnknownVariables,
  type GivenOptions,
  type Options,
  readOptions as readOptionsOf,
  SETTINGS,
  type System,
  UsageError,
} from "../../lib/config/options.ts";
import { testPure } from "../helpers/pure.ts";

type Name = keyof Options;

/** A machine of 1 GiB with one file. */
const SYSTEM: System = {
  memoryBytes: 2 ** 30,
  readTextFile(path) {
    if (path !== "/run/secrets/one") throw new Error("No such file");
    return "the first secret, of 32 bytes, yes\nthe second, with a comma, of 32 bytes\n";
  },
};

function readOptions(given: GivenOptions, env: Environment, system = SYSTEM): Options {
  return readOptionsOf(given, env, system);
}

interface Expectation {
  readonly flag: string;
  readonly variable: string;
  /** Value if nothing is given. */
  readonly byDefault: unknown;
  readonly good: readonly (readonly [written: string, value: unknown])[];
  readonly bad: readonly string[];
  /** The error's text, without the part that quotes the value. */
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
const AN_ICE_URL =
  "a STUN or TURN URL such as stun:stun.example.org:3478 or turn:turn.example.org?transport=udp";
const AN_ADDRESS = "an address with a port such as 127.0.0.1:8766 or [::1]:8766, or off";
const A_LIST_OF_DIALECTS =
  "a comma-separated list of peerjs, y-webrtc, trystero, libdatachannel, or all, or off";
const AN_ORIGIN =
  "an origin such as https://example.org, https://*.example.org, capacitor://localhost " +
  "or null, without a path";
const A_LIST_OF_ADDRESSES =
  "a comma-separated list of addresses and networks such as 10.0.0.7,192.168.0.0/16";
const A_REDIS_URL = "a URL such as redis://127.0.0.1:6379, without the number of a database";
const A_PREFIX = "1 to 64 of the characters A-Z, a-z, 0-9, _, . and -";

/** Expects an option. Its variable is the flag in capitals. */
function option(
  flag: string,
  byDefault: unknown,
  takes: string,
  values: Pick<Expectation, "good" | "bad" | "with">,
): Expectation {
  const variable = `SIGNALBOX_${flag.slice(2).toUpperCase().replaceAll("-", "_")}`;
  return { flag, variable, byDefault, takes, ...values };
}

const EXPECTED: Readonly<Record<Name, Expectation>> = {
  host: option("--host", "0.0.0.0", A_VALUE, {
    good: [["127.0.0.1", "127.0.0.1"], ["::", "::"]],
    bad: [""],
  }),
  port: option("--port", 8765, "a whole number from 0 to 65535", {
    good: [["0", 0], ["65535", 65535]],
    bad: ["65536", "-1", "http", "80.5"],
  }),
  admin: option("--admin", undefined, AN_ADDRESS, {
    good: [
      ["off", null],
      ["127.0.0.1:0", { hostname: "127.0.0.1", port: 0 }],
      ["localhost:8766", { hostname: "localhost", port: 8766 }],
      ["[::1]:65535", { hostname: "::1", port: 65535 }],
    ],
    bad: ["", "8766", "127.0.0.1", "127.0.0.1:65536", "::1:8766", "[127.0.0.1]:1", "on"],
  }),
  adminPassword: option("--admin-password", undefined, "a password of at least one character", {
    good: [["hush", "hush"]],
    bad: [""],
  }),
  noPage: option("--no-page", undefined, "1 or true, 0 or false", {
    good: [["1", true], ["true", true], ["0", false], ["false", false]],
    bad: ["yes", "on", "TRUE"],
  }),
  tlsCert: option("--tls-cert", undefined, A_VALUE, {
    good: [["/etc/tls/cert.pem", "/etc/tls/cert.pem"]],
    bad: [""],
    with: { tlsKey: "key.pem" },
  }),
  tlsKey: option("--tls-key", undefined, A_VALUE, {
    good: [["/etc/tls/key.pem", "/etc/tls/key.pem"]],
    bad: [""],
    with: { tlsCert: "cert.pem" },
  }),
  logLevel: option("--log-level", "info", "one of debug, info, warn, error", {
    good: [["debug", "debug"], ["info", "info"], ["warn", "warn"], ["error", "error"]],
    bad: ["verbose", "INFO", "warning"],
  }),
  logFormat: option("--log-format", "text", "one of text, json", {
    good: [["text", "text"], ["json", "json"]],
    bad: ["xml"],
  }),
  onDuplicate: option("--on-duplicate", "replace", "one of replace, reject", {
    good: [["replace", "replace"], ["reject", "reject"]],
    bad: ["refuse"],
  }),
  registerTimeoutMs: option("--register-timeout", 10_000, SOME_DURATION, {
    good: [["250ms", 250], ["1m", 60_000]],
    bad: ["0", "0s"],
  }),
  idleTimeoutMs: option("--idle-timeout", 30_000, A_DURATION, {
    good: [["0", 0], ["90s", 90_000]],
    bad: ["30", "half an hour"],
  }),
  maxConnections: option("--max-connections", 10_000, A_COUNT, {
    good: [["0", 0], ["5", 5]],
    bad: ["-1", "many"],
  }),
  maxConnectionsPerIp: option("--max-connections-per-ip", 0, A_COUNT, {
    good: [["0", 0], ["5", 5]],
    bad: ["-1"],
  }),
  maxMemoryBytes: option("--max-memory", 805_306_368, A_SIZE, {
    good: [["512MiB", 536_870_912]],
    bad: ["0", "half", "off"],
  }),
  maxMessageSizeBytes: option("--max-message-size", 262_144, A_SIZE, {
    good: [["1MiB", 1_048_576], ["1000", 1000]],
    bad: ["0", "64K"],
  }),
  maxBufferedBytes: option("--max-buffered", 1_048_576, A_SIZE, {
    good: [["2MiB", 2_097_152]],
    bad: ["0"],
  }),
  maxBufferedTotalBytes: option("--max-buffered-total", 100_663_296, A_SIZE, {
    good: [["2MiB", 2_097_152]],
    bad: ["0"],
  }),
  rateLimitPerSecond: option("--rate-limit", 100, A_COUNT, {
    good: [["0", 0], ["1000", 1000]],
    bad: ["0.5"],
  }),
  rateBurst: option("--rate-burst", 600, "a whole number of at least 1", {
    good: [["1", 1]],
    bad: ["0"],
  }),
  mailboxTtlMs: option("--mailbox-ttl", 10_000, A_DURATION, {
    good: [["0", 0], ["1m", 60_000]],
    bad: ["10"],
  }),
  resumeTtlMs: option("--resume-ttl", 30_000, A_DURATION, {
    good: [["0", 0], ["1m", 60_000]],
    bad: ["10"],
  }),
  dialects: option("--dialects", ["peerjs", "y-webrtc", "trystero"], A_LIST_OF_DIALECTS, {
    good: [
      ["off", []],
      ["all", ["peerjs", "y-webrtc", "trystero", "libdatachannel"]],
      ["trystero, peerjs,trystero", ["trystero", "peerjs"]],
    ],
    bad: ["", "peer", "peerjs,", "all,peerjs", "PEERJS"],
  }),
  peerjsKey: option("--peerjs-key", "peerjs", A_VALUE, { good: [["a key", "a key"]], bad: [""] }),
  peerjsDiscovery: option("--peerjs-discovery", undefined, "1 or true, 0 or false", {
    good: [["1", true], ["false", false]],
    bad: ["yes"],
  }),
  allowOrigins: option("--allow-origin", undefined, AN_ORIGIN, {
    good: [
      ["https://example.org", ["https://example.org"]],
      ["https://a.example, http://b.example:81", ["https://a.example", "http://b.example:81"]],
      ["null,capacitor://localhost", ["null", "capacitor://localhost"]],
      ["https://*.a.example", ["https://*.a.example"]],
    ],
    bad: ["*", "https://a.example/x"],
  }),
  trustProxy: option("--trust-proxy", undefined, A_LIST_OF_ADDRESSES, {
    good: [
      ["0", null],
      ["false", null],
      ["1", { trusts: ["10.1.2.3", "127.0.0.1"] }],
      ["true", { trusts: ["10.1.2.3", "127.0.0.1"] }],
      ["192.0.2.0/24, 127.0.0.1", { trusts: ["127.0.0.1"] }],
    ],
    bad: ["yes", "10.0.0.0/33", ","],
  }),
  authSecrets: option("--auth-secret", undefined, "a secret of at least 32 bytes", {
    good: [[A_SECRET, [A_SECRET]], ["é".repeat(16), ["é".repeat(16)]]],
    bad: ["too short to be a secret", "x".repeat(31)],
  }),
  authJwks: option("--auth-jwks", undefined, "a URL such as https://example.org/keys.json", {
    good: [["https://id.example/keys", "https://id.example/keys"]],
    bad: ["id.example", "file:///etc/keys"],
  }),
  iceServers: option("--ice-server", undefined, AN_ICE_URL, {
    good: [["stun:a.example,stuns:b.example:5349", ["stun:a.example", "stuns:b.example:5349"]]],
    bad: [
      "http://a.example",
      "stun:",
      "turn:a.example?transport=sctp",
      "stun:a.example:65536",
      "turn:a.example:99999?transport=udp",
    ],
  }),
  turnSecret: option("--turn-secret", undefined, A_VALUE, {
    good: [["hush", "hush"]],
    bad: [""],
    with: { iceServers: "turn:a.example" },
  }),
  turnTtlMs: option("--turn-ttl", 3_600_000, SOME_DURATION, {
    good: [["12h", 43_200_000]],
    bad: ["0"],
  }),
  turnUsername: option("--turn-username", undefined, A_VALUE, {
    good: [["user", "user"]],
    bad: [""],
    with: { iceServers: "turn:a.example", turnPassword: "hush" },
  }),
  turnPassword: option("--turn-password", undefined, A_VALUE, {
    good: [["hush", "hush"]],
    bad: [""],
    with: { iceServers: "turn:a.example", turnUsername: "user" },
  }),
  redisUrls: option("--redis", undefined, A_REDIS_URL, {
    good: [
      ["redis://127.0.0.1:6379", ["redis://127.0.0.1:6379"]],
      ["rediss://:hush@redis.example", ["rediss://:hush@redis.example"]],
    ],
    bad: ["127.0.0.1:6379", "http://:hush@redis.example", "localhost", "redis://:hush@a.example/1"],
  }),
  redisPrefix: option("--redis-prefix", "signalbox", A_PREFIX, {
    good: [["a.B_c-1", "a.B_c-1"]],
    bad: ["", "a:b", "a b", "{a}", "x".repeat(65)],
  }),
  drainDelayMs: option("--drain-delay", 0, A_DURATION, {
    good: [["0", 0], ["15s", 15_000]],
    bad: ["5"],
  }),
  drainTimeoutMs: option("--drain-timeout", 5000, A_DURATION, {
    good: [["0", 0], ["1s", 1000]],
    bad: ["5"],
  }),
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
    if (expectation.with === undefined && !variable.startsWith("SIGNALBOX_AUTH_")) {
      assert.deepEqual(holds(name, {}, { [variable]: "" }), byDefault);
    }
    assert.notDeepEqual(value, undefined);
  });

  testPure(`${flag} reports an error in one line: what it takes, and what it got`, () => {
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

testPure("an error is reported in one line, whatever was written", () => {
  for (const name of Object.keys(EXPECTED) as Name[]) {
    if (EXPECTED[name].bad.every((text) => text === "")) continue; // it takes any text
    assert.throws(() => holds(name, { [name]: "a\nb\x1b[2J" }), (error) => {
      assert(error instanceof UsageError);
      assert.doesNotMatch(error.message, /\p{Cc}/u);
      return true;
    });
  }
});

/** Combinations that make no sense, and their errors. */
const ERRORS: readonly (readonly [given: GivenOptions, message: string])[] = [
  [{ tlsCert: "cert.pem" }, "--tls-cert and --tls-key go together: one of them is missing"],
  [{ tlsKey: "key.pem" }, "--tls-cert and --tls-key go together: one of them is missing"],
  [
    { iceServers: "stun:a.example,turn:b.example" },
    "--ice-server with a TURN URL needs --turn-secret, or --turn-username and --turn-password",
  ],
  [
    { turnUsername: "user", iceServers: "turn:a.example" },
    "--turn-username and --turn-password go together: one of them is missing",
  ],
  [
    { turnSecret: "s", turnUsername: "u", turnPassword: "p", iceServers: "turn:a.example" },
    "--turn-secret and --turn-username exclude each other: give one of them",
  ],
  [
    { turnUsername: "user", turnPassword: "hush" },
    "--turn-username needs an --ice-server with a TURN URL to be used for",
  ],
  [
    { admin: "0.0.0.0:8766", adminPassword: "eleven char" },
    "--admin 0.0.0.0:8766 can be reached from other machines: " +
    "its --admin-password needs at least 12 characters",
  ],
  [
    { turnSecret: "hush", iceServers: "stun:a.example" },
    "--turn-secret needs an --ice-server with a TURN URL to be used for",
  ],
  [{ turnSecret: "hush" }, "--turn-secret needs an --ice-server with a TURN URL to be used for"],
];

for (const [given, message] of ERRORS) {
  testPure(`readOptions() refuses ${Object.keys(given).join(" with ")}: ${message}`, () => {
    assert.throws(() => readOptions(given, {}), new UsageError(message));
  });
}

testPure("readOptions() ignores variables that are none of its own", () => {
  const env = { SIGNALBOX_NONSENSE: "1", PORT: "1", SIGNALBOX_: "x", HOME: "/root" };
  assert.deepEqual(readOptions({}, env), readOptions({}, {}));
});

testPure("a password of the admin listener on loopback may be short", () => {
  assert.equal(readOptions({ adminPassword: "hush" }, {}).adminPassword, "hush");
});

testPure("a share of --max-memory may wait in send buffers", () => {
  assert.equal(readOptions({ maxMemoryBytes: "800MiB" }, {}).maxBufferedTotalBytes, 100 * 2 ** 20);
});

// Secrets.

const ONE_FILE = "/run/secrets/one";

testPure("a secret can be read from a file, without the line break at its end", () => {
  for (const ending of ["", "\n", "\r\n"]) {
    const system = {
      ...SYSTEM,
      readTextFile: () => ` a secret, of 32 bytes at the least${ending}`,
    };
    const env = { SIGNALBOX_ADMIN_PASSWORD_FILE: "x", SIGNALBOX_AUTH_SECRET_FILE: "x" };
    const { adminPassword, authSecrets } = readOptions({}, env, system);
    assert.equal(adminPassword, " a secret, of 32 bytes at the least");
    assert.deepEqual(authSecrets, [adminPassword]);
  }
});

testPure("every secret can be read from a file, and nothing else", () => {
  for (const [name, { variable }] of Object.entries(EXPECTED)) {
    if (name === "port") continue; // as Kubernetes could name SIGNALBOX_PORT_FILE
    const file = `${variable}_FILE`;
    const unknown = findUnknownVariables({ [file]: "x" }).map(([name]) => name);
    assert.deepEqual(unknown, "secret" in SETTINGS[name as Name] ? [] : [file]);
  }
});

testPure("a file holds several secrets, one a line; none is split at commas", () => {
  const { authSecrets } = readOptions({}, { SIGNALBOX_AUTH_SECRET_FILE: ONE_FILE });
  assert.deepEqual(authSecrets, [
    "the first secret, of 32 bytes, yes",
    "the second, with a comma, of 32 bytes",
  ]);
  const secret = "correct, horse, battery, staple, 32+";
  assert.deepEqual(readOptions({}, { SIGNALBOX_AUTH_SECRET: secret }).authSecrets, [secret]);
  const two = [secret, secret.toUpperCase()];
  assert.deepEqual(readOptions({ authSecrets: two }, {}).authSecrets, two);
});

testPure("a secret as a variable and in a file is an error without the option", () => {
  const env = { SIGNALBOX_AUTH_SECRET: A_SECRET, SIGNALBOX_AUTH_SECRET_FILE: ONE_FILE };
  assert.throws(
    () => readOptions({}, env),
    new UsageError(
      "SIGNALBOX_AUTH_SECRET and SIGNALBOX_AUTH_SECRET_FILE exclude each other: give one of them",
    ),
  );
  assert.deepEqual(readOptions({ authSecrets: A_SECRET }, env).authSecrets, [A_SECRET]);
});

testPure("a file that cannot be read is named, and is no error in the options", () => {
  assert.throws(() => readOptions({}, { SIGNALBOX_REDIS_FILE: "/nowhere" }), (error) => {
    assert(error instanceof Error && !(error instanceof UsageError));
    assert.equal(error.message, "cannot read SIGNALBOX_REDIS_FILE /nowhere: No such file");
    return true;
  });
});

testPure("an error in a file names its variable, and quotes nothing", () => {
  const system = { ...SYSTEM, readTextFile: () => "hunter2\n" };
  assert.throws(
    () => readOptions({}, { SIGNALBOX_AUTH_SECRET_FILE: "x" }, system),
    new UsageError("SIGNALBOX_AUTH_SECRET_FILE takes a secret of at least 32 bytes"),
  );
});

testPure("an empty variable for tokens does not open the server to any client", () => {
  const names = ["SIGNALBOX_AUTH_SECRET", "SIGNALBOX_AUTH_SECRET_FILE", "SIGNALBOX_AUTH_JWKS"];
  for (const name of names) {
    assert.throws(
      () => readOptions({}, { [name]: "" }),
      new UsageError(`${name} is empty: give a value, or remove it for a server without tokens`),
    );
  }
});

// Variables of others.

testPure("findUnknownVariables() names each with the nearest option", () => {
  const env = {
    SIGNALBOX_PROT: "1",
    SIGNALBOX_MAX_CONNECTION: "1",
    SIGNALBOX_AUTH_SECRETS_FILE: "x",
    SIGNALBOX_TLS_CERT_FILE: "x",
    SIGNALBOX_HOST: "::",
    SIGNALBOX_EMPTY: "",
    SIGNALBOXES: "1",
  };
  assert.deepEqual(findUnknownVariables(env), [
    ["SIGNALBOX_PROT", "SIGNALBOX_PORT"],
    ["SIGNALBOX_MAX_CONNECTION", "SIGNALBOX_MAX_CONNECTIONS"],
    ["SIGNALBOX_AUTH_SECRETS_FILE", "SIGNALBOX_AUTH_SECRET_FILE"],
    ["SIGNALBOX_TLS_CERT_FILE", "SIGNALBOX_TLS_CERT"],
  ]);
});

testPure("what Kubernetes sets for a Service called signalbox is not ours", () => {
  const env = {
    SIGNALBOX_PORT: "tcp://10.96.13.7:8765",
    SIGNALBOX_PORT_8765_TCP: "tcp://10.96.13.7:8765",
    SIGNALBOX_PORT_8765_TCP_PROTO: "tcp",
    SIGNALBOX_SERVICE_HOST: "10.96.13.7",
    SIGNALBOX_SERVICE_PORT: "8765",
    SIGNALBOX_SERVICE_PORT_WS: "8765",
  };
  assert.deepEqual(findUnknownVariables(env), []);
  assert.equal(readOptions({}, env).port, 8765);
  assert.equal(readOptions({}, { SIGNALBOX_PORT: "udp://10.96.13.7:8765" }).port, 8765);
  assert.equal(readOptions({ port: "1" }, env).port, 1);
});
