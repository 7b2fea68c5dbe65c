/** Arguments and environment become a task, or one line that says what is wrong with them. */

import assert from "node:assert/strict";
import { readCommandLine, TOPICS } from "../../lib/config/command_line.ts";
import { type Options, SETTINGS, type System, UsageError } from "../../lib/config/options.ts";
import { testPure } from "../helpers/pure.ts";

type Environment = Record<string, string>;

const SECRET = "correct horse battery staple, 32+";

const BEGIN = "-----BEGIN CERTIFICATE-----";

const SYSTEM: System = {
  memoryBytes: 2 ** 30,
  readTextFile: (path) => `the secret of ${path}, of 32 bytes`,
};

function read(args: readonly string[], env: Environment = {}) {
  return readCommandLine(args, env, "1.2.3", SYSTEM);
}

function options(args: readonly string[], env: Environment = {}): Options {
  const task = read(args, env);
  assert(task.kind === "serve");
  return task.options;
}

/** Returns the printed text with every white space as one space, because the help is wrapped to the terminal's width. */
function printed(args: readonly string[], env: Environment = {}): string {
  const task = read(args, env);
  assert(task.kind === "print");
  return task.text.replaceAll(/\s+/g, " ");
}

testPure("no argument means serve, with every default", () => {
  assert.deepEqual(read([]), read(["serve"]));
  assert.equal(options([]).port, 8765);
});

testPure("an option goes before its variable, and its variable before the default", () => {
  const env = { SIGNALBOX_PORT: "2", SIGNALBOX_HOST: "" };
  assert.equal(options(["--port", "1"], env).port, 1);
  assert.equal(options([], env).port, 2);
  assert.equal(options([], {}).port, 8765);
  assert.equal(options([], env).host, "0.0.0.0");
});

testPure("an option that overrules its variable saves an error in it", () => {
  assert.equal(options(["--port", "1"], { SIGNALBOX_PORT: "nonsense" }).port, 1);
});

testPure("options are written with a space or an equals sign, before or after serve", () => {
  for (
    const args of [["--port", "1"], ["--port=1"], ["serve", "--port", "1"], ["serve", "--port=1"]]
  ) {
    assert.equal(options(args).port, 1);
  }
});

testPure("of an option that is given twice, the last counts", () => {
  assert.equal(options(["--port", "1", "--port", "2"]).port, 2);
});

testPure("a repeatable option is repeated, or a list; as a variable it is a list", () => {
  const expected = ["https://a.example", "https://b.example"];
  const [a, b] = expected as [string, string];
  assert.deepEqual(options(["--allow-origin", a, "--allow-origin", b]).allowOrigins, expected);
  assert.deepEqual(options([`--allow-origin=${a},${b}`]).allowOrigins, expected);
  assert.deepEqual(options([], { SIGNALBOX_ALLOW_ORIGIN: `${a}, ${b}` }).allowOrigins, expected);
  const secrets = ["correct, horse, battery staple, 32+", SECRET];
  const given = secrets.flatMap((secret) => ["--auth-secret", secret]);
  assert.deepEqual(options(given).authSecrets, secrets);
  const stun = ["stun:a.example", "stun:b.example"];
  const twice = ["--ice-server", "stun:a.example", "--ice-server", "stun:b.example"];
  assert.deepEqual(options(twice).iceServers, stun);
});

testPure("--trust-proxy means private ranges if it has no value, else its list", () => {
  const trusts = (args: readonly string[], env: Environment = {}) => {
    const { trustProxy = null } = options(args, env);
    return ["127.0.0.1", "10.1.2.3", "192.0.2.7"].filter((address) => trustProxy?.(address));
  };
  assert.deepEqual(trusts(["--trust-proxy"]), ["127.0.0.1", "10.1.2.3"]);
  assert.deepEqual(trusts(["--trust-proxy", "--port", "1"]), ["127.0.0.1", "10.1.2.3"]);
  assert.deepEqual(trusts(["--trust-proxy", "192.0.2.7"]), ["192.0.2.7"]);
  assert.deepEqual(trusts(["--trust-proxy", "--trust-proxy", "192.0.2.7"]), ["192.0.2.7"]);
  assert.deepEqual(trusts(["--trust-proxy=192.0.2.0/24"]), ["192.0.2.7"]);
  assert.deepEqual(trusts([], { SIGNALBOX_TRUST_PROXY: "true" }), ["127.0.0.1", "10.1.2.3"]);
  assert.deepEqual(trusts([], { SIGNALBOX_TRUST_PROXY: "0" }), []);
  assert.deepEqual(trusts(["--trust-proxy", "0"], { SIGNALBOX_TRUST_PROXY: "1" }), []);
});

testPure("a switch is off until it is given, alone or as a variable", () => {
  assert(!options([]).noPage);
  assert(options(["--no-page"]).noPage);
  assert(options([], { SIGNALBOX_NO_PAGE: "1" }).noPage);
  assert(!options([], { SIGNALBOX_NO_PAGE: "0" }).noPage);
  assert(options(["--no-page"], { SIGNALBOX_NO_PAGE: "0" }).noPage);
});

testPure("token reads its own options, and the secret", () => {
  const expected = {
    kind: "token",
    secret: SECRET,
    clientId: "alice",
    room: undefined,
    ttlMs: 3_600_000,
  };
  const args = ["token", "--client-id", "alice"];
  assert.deepEqual(read([...args, "--auth-secret", SECRET]), expected);
  assert.deepEqual(read(args, { SIGNALBOX_AUTH_SECRET: SECRET }), expected);
  assert.deepEqual(
    read([...args, "--room", "lobby", "--ttl=5m"], { SIGNALBOX_AUTH_SECRET: SECRET }),
    { ...expected, room: "lobby", ttlMs: 300_000 },
  );
});

testPure("token signs with the first secret, and reads files as the server does", () => {
  const secretOf = (args: readonly string[], env: Environment = {}) => {
    const task = read(["token", "--client-id", "alice", ...args], env);
    return task.kind === "token" && task.secret;
  };
  const other = SECRET.toUpperCase();
  assert.equal(secretOf(["--auth-secret", SECRET, "--auth-secret", other]), SECRET);
  const env = { SIGNALBOX_AUTH_SECRET_FILE: "/a-file" };
  assert.equal(secretOf([], env), "the secret of /a-file, of 32 bytes");
});

testPure("serve warns of variables that are no options", () => {
  const task = read([], { SIGNALBOX_PROT: "1" });
  assert.deepEqual(task.kind === "serve" && task.warnings, [
    "SIGNALBOX_PROT is no option and is ignored. The nearest one is SIGNALBOX_PORT.",
  ]);
});

testPure("healthcheck asks the server that is named, or this machine's", () => {
  const urlOf = (args: readonly string[], env: Environment = {}) => {
    const task = read(["healthcheck", ...args], env);
    return task.kind === "healthcheck" && task.url.href;
  };
  assert.equal(urlOf([]), "http://127.0.0.1:8765/");
  assert.equal(urlOf([], { SIGNALBOX_PORT: "9000" }), "http://127.0.0.1:9000/");
  assert.equal(urlOf([], { SIGNALBOX_HOST: "::" }), "http://[::1]:8765/");
  assert.equal(urlOf([], { SIGNALBOX_HOST: "192.0.2.7" }), "http://192.0.2.7:8765/");
  const tls = { SIGNALBOX_TLS_CERT: "cert.pem", SIGNALBOX_TLS_KEY: "key.pem" };
  assert.equal(urlOf([], tls), "https://127.0.0.1:8765/");
  assert.equal(urlOf(["wss://a.example/signal"]), "https://a.example/signal");
  assert.equal(urlOf(["http://a.example:81"]), "http://a.example:81/");
});

testPure("check asks the server that is named with what is given, or this machine's", () => {
  const requestOf = (args: readonly string[], env: Environment = {}) => {
    const task = read(["check", ...args], env);
    return task.kind === "check" && { ...task.request, url: task.request.url.href };
  };
  const without = { token: null, origin: null, idleMs: 0, caCerts: [] };
  assert.deepEqual(requestOf([], { SIGNALBOX_PORT: "9000" }), {
    ...without,
    url: "ws://127.0.0.1:9000/",
    isOwnMachine: true,
  });
  const tls = { SIGNALBOX_TLS_CERT: "cert.pem", SIGNALBOX_TLS_KEY: "key.pem" };
  assert.deepEqual(requestOf([], tls), {
    ...without,
    url: "wss://127.0.0.1:8765/",
    isOwnMachine: true,
  });
  assert.deepEqual(requestOf(["https://a.example/signal/"]), {
    ...without,
    url: "wss://a.example/signal/",
    isOwnMachine: false,
    origin: "https://a.example",
  });
  for (const env of [{ SIGNALBOX_TOKEN: "T" }, { SIGNALBOX_TOKEN_FILE: "/token" }]) {
    const task = read(["check", "ws://user:secret@a.example"], env);
    assert(task.kind === "check");
    assert.match(task.request.token!, /^T$|^the secret of \/token/);
    assert.equal(task.request.url.href, "ws://a.example/");
    assert.deepEqual(options([], env), options([])); // of no interest to a server
  }
  const ca = `${BEGIN}\nAAAA\n-----END CERTIFICATE-----\n`;
  const system = { ...SYSTEM, readTextFile: () => ca };
  const given = ["--token", "T", "--idle", "75s", "--origin", "https://b.example", "--ca", "/ca"];
  const task = readCommandLine(["check", "ws://a.example", ...given], {}, "", system);
  assert(task.kind === "check");
  assert.deepEqual({ ...task.request, url: task.request.url.href }, {
    url: "ws://a.example/",
    isOwnMachine: false,
    token: "T",
    origin: "https://b.example",
    idleMs: 75_000,
    caCerts: [ca],
  });
  assert.throws(
    () => read(["check", "--ca", "/ca"]),
    /^Error: --ca \/ca holds no certificate: it takes PEM/,
  );
});

testPure("--version prints the version", () => {
  assert.equal(read(["--version"]).kind, "print");
  assert.equal(printed(["--version"]).trim(), "1.2.3");
});

testPure("the help names every option with its default and what it is for", () => {
  for (const args of [["--help"], ["help"], ["serve", "--help"], ["help", "serve"]]) {
    const help = printed(args);
    for (const setting of Object.values(SETTINGS)) {
      const shown = "default" in setting
        ? setting.default
        : "computedDefault" in setting && setting.computedDefault;
      const byDefault = shown ? ` (default: ${shown})` : "";
      const entry = `${setting.flag} ${setting.help}${byDefault} --`;
      assert(help.includes(entry), `${entry} is missing in ${args.join(" ")}`);
    }
    assert(help.includes("SIGNALBOX_MAX_MESSAGE_SIZE"));
  }
});

testPure("the help of the program names its commands, that of token its options", () => {
  for (const args of [["--help"], ["help"]]) {
    assert.match(printed(args), /Commands: serve .*token .*help /);
  }
  for (const args of [["token", "--help"], ["help", "token"]]) {
    assert.match(printed(args), /--client-id .*--room .*--ttl .*1h.*--auth-secret /);
  }
});

testPure("help takes the name of a document, too, and names them all", () => {
  for (const topic of TOPICS) {
    assert.deepEqual(read(["help", topic]), { kind: "document", topic });
    assert(printed(["help"]).includes(topic), topic);
  }
});

testPure("help is given whatever the environment says", () => {
  assert.match(printed(["--help"], { SIGNALBOX_PORT: "nonsense" }), /^Usage: signalbox /);
});

/** Command lines with errors, and the line that reports each. */
const ERRORS: readonly (readonly [args: readonly string[], message: RegExp, env?: Environment])[] =
  [
    [["--port", "http"], /^--port takes a whole number from 0 to 65535, not "http"$/],
    [["--port="], /^--port takes a whole number from 0 to 65535, not ""$/],
    [["--port"], /^option '--port <number>' argument missing$/],
    [[], /^SIGNALBOX_PORT takes a whole number from 0 to 65535, not "x"$/, { SIGNALBOX_PORT: "x" }],
    [["--prot", "1"], /^unknown option '--prot' \(Did you mean --port\?\)$/],
    [["-p", "1"], /^unknown option '-p'$/],
    [["--no-port"], /^unknown option '--no-port'/],
    [["serve", "here"], /^serve takes no argument, not "here"$/],
    [
      ["foo"],
      /^there is no command "foo": those that exist are serve, token, check, healthcheck and help$/,
    ],
    [["foo", "--port", "1"], /^there is no command "foo": /],
    [
      ["healthcheck", "nowhere"],
      /^healthcheck takes the URL of a server such as http:\/\/127\.0\.0\.1:8765, not "nowhere"$/,
    ],
    [["check", "nowhere"], /^check takes the URL of a server such as .*, not "nowhere"$/],
    [["check", "ws://a.example:0"], /^check takes the URL of a server/],
    [["check", "ftp://user:secret@a"], /^check takes the URL of a server such as [^ ]*$/],
    [["check"], /^check needs a URL: SIGNALBOX_PORT=0 names no port$/, { SIGNALBOX_PORT: "0" }],
    [["check", "--origin", "https://*.a.example"], /^--origin takes .* without \*, not/],
    [["check", "-h"], /^unknown option '-h': write --help$/],
    [["check", "-v"], /^unknown option '-v': write signalbox --version$/],
    [["check", "--idle", "75"], /^--idle takes a duration such as .*, not "75"$/],
    [["check", "--origin", "x"], /^--origin takes an origin such as .*, not "x"$/],
    [["--trust-proxy="], /^--trust-proxy takes a comma-separated list .*, not ""$/],
    [["--allow-origin", "*"], /^--allow-origin takes an origin .*, not "\*"$/],
    [["--tls-cert", "cert.pem"], /^--tls-cert and --tls-key go together: one of them is missing$/],
    [
      ["help", "nonsense"],
      /^help takes a command \(serve, token, check, healthcheck and help\) or a document \(protocol, .*\)$/,
    ],
    [["token"], /^required option '--client-id <id>' not specified$/],
    [
      ["token", "--client-id", "a"],
      /^token needs --auth-secret, SIGNALBOX_AUTH_SECRET or SIGNALBOX_AUTH_SECRET_FILE to sign with$/,
    ],
    [["token", "--client-id", "a", "b"], /^token takes no argument, not "b"$/],
    [["healthcheck", "http://a", "b"], /^healthcheck takes 1 argument, not "http:\/\/a, b"$/],
    [["--port", "1", "here"], /^serve takes no argument, not "here"$/],
    [["--no-page=foo"], /^--no-page takes no value, not "foo"$/],
    [["--peerjs-discovery=1"], /^--peerjs-discovery takes no value, not "1"$/],
    [["token", "--client-id", "a", "--port", "1"], /^unknown option '--port'/],
    [
      ["token", "--client-id", "a\nb"],
      /^--client-id takes 1 to 128 characters without control characters, not "a\\nb"$/,
      { SIGNALBOX_AUTH_SECRET: SECRET },
    ],
    [
      ["token", "--client-id", "a", "--room", ""],
      /^--room takes 1 to 128 characters without control characters, not ""$/,
      { SIGNALBOX_AUTH_SECRET: SECRET },
    ],
    [
      ["token", "--client-id", "a", "--ttl", "0"],
      /^--ttl takes a duration of more than 0, such as 500ms, 10s, 5m or 1h, not "0"$/,
      { SIGNALBOX_AUTH_SECRET: SECRET },
    ],
  ];

for (const [args, message, env] of ERRORS) {
  testPure(`an error is reported in one line: signalbox ${JSON.stringify(args)}`, () => {
    assert.throws(() => read(args, env), (error) => {
      assert(error instanceof UsageError);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\p{Cc}/u);
      return true;
    });
  });
}

testPure("an error never quotes a secret", () => {
  const secret = "hunter2";
  const wrong: readonly (readonly [args: readonly string[], env?: Environment])[] = [
    [["--auth-secret", secret]],
    [[`--auth-secret=${secret}`]],
    [[], { SIGNALBOX_AUTH_SECRET: secret }],
    [[`--auth-secre=${secret}`]],
    [[`--auth-secre=a=${secret}`]],
    [["--auth-secre", secret]],
    [["--turn-secret", secret]],
    [[], { SIGNALBOX_TURN_SECRET: secret }],
    [["token", "--client-id", "a"], { SIGNALBOX_AUTH_SECRET: secret }],
    [["token", `--secret=${secret}`]],
  ];
  for (const [args, env] of wrong) {
    assert.throws(() => read(args, env), (error) => {
      assert(error instanceof UsageError);
      return !error.message.includes(secret);
    });
  }
});
