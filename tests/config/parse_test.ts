/** Parsers of option values, and their errors. */

import assert from "node:assert/strict";
import {
  readBytes,
  readChoice,
  readDurationMs,
  readHttpUrl,
  readIceUrl,
  readInteger,
  readMoreThanZeroMs,
  readOrigin,
  readRedisUrl,
  readSelection,
  readSwitch,
  readText,
} from "../../lib/config/parse.ts";
import { testPure } from "../helpers/pure.ts";

function testReader<Value>(
  name: string,
  read: (text: string) => Value,
  good: readonly (readonly [text: string, value: Value])[],
  bad: readonly string[],
  message: RegExp,
): void {
  for (const [text, value] of good) {
    testPure(`${name} reads ${JSON.stringify(text)}`, () => assert.deepEqual(read(text), value));
  }
  testPure(`${name} refuses all else`, () => {
    for (const text of bad) {
      const refusal = { name: "RangeError", message };
      assert.throws(() => read(text), refusal, `${JSON.stringify(text)} was read`);
    }
  });
}

/** Texts that are no numbers. */
const NO_NUMBERS = [
  "",
  " ",
  "x",
  "-1",
  "+1",
  "1.5",
  "1e3",
  "0x10",
  "1 ",
  " 1",
  "1\n",
  "１",
  "1_000",
];

testReader(
  "readDurationMs()",
  readDurationMs,
  [
    ["0", 0],
    ["0s", 0],
    ["1ms", 1],
    ["500ms", 500],
    ["10s", 10_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["090s", 90_000],
    ["576h", 24 * 86_400_000],
  ],
  [
    ...NO_NUMBERS,
    "1",
    "10",
    "00",
    "ms",
    "10 s",
    "10S",
    "10sec",
    "1d",
    "1m30s",
    "577h",
    "-1s",
    "9999999999999ms",
  ],
  /^a duration such as 500ms, 10s, 5m or 1h, of 24 days at the most$/,
);

testReader(
  "readMoreThanZeroMs()",
  readMoreThanZeroMs,
  [["1ms", 1], ["1h", 3_600_000]],
  ["0", "0s", "0h", "1", "577h"],
  /^a duration /,
);

testReader(
  "readBytes()",
  readBytes,
  [["1", 1], ["65536", 65_536], ["64KiB", 65_536], ["1MiB", 1_048_576], ["2GiB", 2_147_483_648]],
  [
    ...NO_NUMBERS,
    "0",
    "0KiB",
    "64KB",
    "64K",
    "64kib",
    "64 KiB",
    "1TiB",
    "MiB",
    "99999999999999GiB",
  ],
  /^a size of at least 1 byte, such as 65536, 64KiB or 1MiB$/,
);

testReader(
  "readInteger()",
  (text) => readInteger(text, 1, 65_535),
  [["1", 1], ["65535", 65_535], ["0080", 80]],
  [...NO_NUMBERS, "0", "65536", "99999999999999999999"],
  /^a whole number from 1 to 65535$/,
);

testReader(
  "readInteger() without an end",
  (text) => readInteger(text, 0, Number.MAX_SAFE_INTEGER),
  [["0", 0], ["999999999999999", 999_999_999_999_999]],
  [...NO_NUMBERS, "9999999999999999"],
  /^a whole number of at least 0$/,
);

testReader(
  "readChoice()",
  (text) => readChoice(text, ["text", "json"]),
  [["text", "text"], ["json", "json"]],
  ["", "TEXT", "json ", "text,json", "toString"],
  /^one of text, json$/,
);

testReader(
  "readSwitch()",
  readSwitch,
  [["1", true], ["true", true], ["0", false], ["false", false]],
  ["", "yes", "TRUE", "on", "2", "01"],
  /^1 or true, 0 or false$/,
);

testReader("readText()", readText, [["x", "x"], [" ", " "]], [""], /^a value that is not empty$/);

testReader(
  "readHttpUrl()",
  (text) => readHttpUrl(text).href,
  [
    ["https://example.org/keys.json", "https://example.org/keys.json"],
    ["http://127.0.0.1:8000", "http://127.0.0.1:8000/"],
  ],
  [
    "",
    "example.org",
    "/keys",
    "ftp://example.org",
    "file:///keys",
    "javascript:alert(1)",
    "https://",
  ],
  /^a URL such as https:\/\/example\.org\/keys\.json$/,
);

testReader(
  "readRedisUrl()",
  readRedisUrl,
  [
    ["redis://127.0.0.1:6379", "redis://127.0.0.1:6379"],
    ["rediss://user:hush@redis.example/0", "rediss://user:hush@redis.example/0"],
  ],
  ["", "127.0.0.1:6379", "http://127.0.0.1:6379", "redis", "redis://127.0.0.1/1"],
  /^a URL such as redis:\/\/127\.0\.0\.1:6379, without the number of a database$/,
);

testReader(
  "readOrigin()",
  readOrigin,
  [
    ["https://example.org", "https://example.org"],
    ["http://localhost:3000", "http://localhost:3000"],
    ["https://[::1]:8443", "https://[::1]:8443"],
    ["null", "null"],
    ["capacitor://localhost", "capacitor://localhost"],
    ["chrome-extension://abcdef", "chrome-extension://abcdef"],
    ["https://*.example.org", "https://*.example.org"],
    ["http://*.example.org:8080", "http://*.example.org:8080"],
  ],
  [
    "",
    "NULL",
    "https://*",
    "https://*.",
    "https://a.*.example.org",
    "https://*.*.example.org",
    "https://*.example.org:443",
    "https://*.example.org/x",
    "capacitor://*",
    "capacitor://localhost/",
    "capacitor://",
    "https://a.example://b.example",
    "*",
    "example.org",
    "https://example.org/",
    "https://example.org/path",
    "https://example.org:443",
    "HTTPS://example.org",
    "https://EXAMPLE.org",
    "https://user@example.org",
    "file:///",
    "data:,x",
  ],
  /^an origin such as https:\/\/example\.org, .*, capacitor:\/\/localhost or null, without a path$/,
);

testReader(
  "readIceUrl()",
  readIceUrl,
  [
    "stun:stun.example.org:3478",
    "turn:turn.example.org?transport=udp",
    "turns:a.example",
    "stun:192.0.2.1",
    "turn:[2001:db8::1]:3478",
  ].map((url) => [url, url]),
  [
    "",
    "stun:",
    "http://a",
    "STUN:a",
    "stun:a?transport=udp",
    "turn:a?transport=tls",
    "turn:a b",
    "turn:a?transport=udp&x",
    "turn:a?",
  ],
  /^a STUN or TURN URL such as /,
);

testReader(
  "readSelection()",
  (text) => readSelection(text, ["a", "b", "c"]),
  [["a", ["a"]], ["c, a,c", ["c", "a"]], ["all", ["a", "b", "c"]], ["off", []]],
  ["", ",", "d", "a,", "all,a", "off,a", "A"],
  /^a comma-separated list of a, b, c, or all, or off$/,
);
