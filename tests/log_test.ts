/** Log lines cannot be forged, and writing one never waits. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type ByteWriter,
  createLog,
  escapeControls,
  type Format,
  type Level,
  LineWriter,
  LOG_LEVELS,
} from "../lib/log.ts";
import { testPure } from "./helpers/pure.ts";

/** A log, and the lines that it puts. */
function logTo(format: Format, level: Level = "debug") {
  const lines: string[] = [];
  return { log: createLog(level, format, (line) => lines.push(line)), lines };
}

testPure("createLog() puts text lines: the level and the message", () => {
  const { log, lines } = logTo("text");
  for (const level of LOG_LEVELS) log.write(level, `a ${level} line`, () => ({}));
  assert.deepEqual(lines, [
    "DEBUG - a debug line",
    "INFO - a info line",
    "WARN - a warn line",
    "ERROR - a error line",
  ]);
});

testPure("createLog() puts JSON lines: time, level, message and fields", () => {
  const { log, lines } = logTo("json");
  const before = Date.now();
  log.write("warn", "hello", () => ({ client_id: "alice", room: undefined, bytes: 7 }));
  const { time, ...rest } = JSON.parse(lines[0]!);
  assert.deepEqual(rest, { level: "warn", msg: "hello", client_id: "alice", bytes: 7 });
  assert(Date.parse(time) >= before && Date.parse(time) <= Date.now());
  assert.equal(new Date(time).toISOString(), time);
  assert.match(lines[0]!, /^\{"time":"[^"]+","level":"warn","msg":"hello","client_id":/);
});

testPure("createLog() calls for fields in JSON alone", () => {
  const { log, lines } = logTo("text");
  log.write("info", "hello", () => assert.fail("asked for"));
  assert.deepEqual(lines, ["INFO - hello"]);
});

for (const [at, level] of LOG_LEVELS.entries()) {
  testPure(
    `createLog() at ${level} writes that level and higher ones, and enabled() says so`,
    () => {
      for (const format of ["text", "json"] as const) {
        const { log, lines } = logTo(format, level);
        for (const other of LOG_LEVELS) log.write(other, "hello", () => ({}));
        assert.equal(lines.length, LOG_LEVELS.length - at);
        assert.deepEqual(LOG_LEVELS.filter((other) => log.enabled(other)), LOG_LEVELS.slice(at));
      }
    },
  );
}

/** Text that could start a line, move a cursor, reorder text or be taken for a template. */
const hostileText = fc.array(
  fc.oneof(
    fc.constantFrom("\n", "\r", "\x1b[2J", "\x7f", "\x85", "\x9b", "\u2028", "\u2029", "\0"),
    fc.constantFrom("\u202e", "\u2066", "\u200b", "\ufeff", "\u{e0041}"),
    fc.constantFrom("{", "}", "{{", "{msg}", "{0}", "{*}", "%s", "${1}", "\\n", '"', "'"),
    fc.string({ unit: "binary", maxLength: 3 }),
  ),
).map((parts) => parts.join(""));

testPure("a line has no control or format character, whatever its message and fields", () => {
  for (const format of ["text", "json"] as const) {
    const { log, lines } = logTo(format);
    fc.assert(
      fc.property(hostileText, hostileText, (message, clientId) => {
        log.write("info", message, () => ({ msg: message, client_id: clientId }));
        assert.doesNotMatch(lines.pop()!, /[\p{Cc}\p{Cf}\u2028\u2029]/u);
      }),
      { numRuns: 2000 },
    );
  }
});

testPure("a JSON line reads back as what was written, and braces are no templates", () => {
  const { log, lines } = logTo("json");
  fc.assert(
    fc.property(hostileText, hostileText, (message, clientId) => {
      log.write("info", message, () => ({ client_id: clientId }));
      const { msg, client_id } = JSON.parse(lines.pop()!);
      assert.deepEqual([msg, client_id], [message, clientId]);
    }),
    { numRuns: 2000 },
  );
});

testPure("a text line is the message to the character, but for its control characters", () => {
  const { log, lines } = logTo("text");
  fc.assert(
    fc.property(hostileText, (message) => {
      log.write("info", message, () => ({}));
      assert.equal(lines.pop(), `INFO - ${escapeControls(message)}`);
    }),
    { numRuns: 2000 },
  );
});

testPure("escapeControls() writes JSON escapes, and leaves other characters", () => {
  assert.equal(escapeControls("a\n\x1b\x7f\x9b\u2028b"), "a\\u000a\\u001b\\u007f\\u009b\\u2028b");
  assert.equal(escapeControls("\u202e\u{e0041}"), "\\u202e\\udb40\\udc41");
  assert.equal(escapeControls("é {x} \\n 😀 \ud800"), "é {x} \\n 😀 \ud800");
});

/** A writer that records what is written. */
class Notebook implements ByteWriter {
  #text = "";
  #onChange = () => {};

  get text(): string {
    return this.#text;
  }

  write(bytes: Uint8Array): Promise<number> {
    this.#text += new TextDecoder().decode(bytes);
    this.#onChange();
    return Promise.resolve(bytes.length);
  }

  /** Resolves once this is the recorded text. */
  async reads(text: string): Promise<void> {
    while (this.#text !== text) await new Promise<void>((resolve) => this.#onChange = resolve);
  }
}

const ignoreDropped = () => {};

testPure("LineWriter writes lines by itself, in order", async () => {
  const notebook = new Notebook();
  const lines = new LineWriter(notebook, ignoreDropped);
  lines.put("one");
  lines.put("zwölf");
  assert.equal(notebook.text, ""); // put() has not waited
  await notebook.reads("one\nzwölf\n");
});

testPure("LineWriter.flush() writes what is buffered, or else resolves at once", async () => {
  const notebook = new Notebook();
  const lines = new LineWriter(notebook, ignoreDropped);
  await lines.flush();
  lines.put("one");
  await lines.flush();
  assert.equal(notebook.text, "one\n");
  lines.put("two");
  await Promise.all([lines.flush(), lines.flush()]);
  assert.equal(notebook.text, "one\ntwo\n");
});

testPure("LineWriter goes on if the writer takes only a part", async () => {
  const taken: number[] = [];
  const writer = {
    write(bytes: Uint8Array): Promise<number> {
      const part = bytes.subarray(0, 3);
      taken.push(...part);
      return Promise.resolve(part.length);
    },
  };
  const lines = new LineWriter(writer, ignoreDropped);
  for (let n = 0; n < 10; n++) lines.put(`line ${n} €`);
  await lines.flush();
  const expected = Array.from({ length: 10 }, (_, n) => `line ${n} €\n`).join("");
  assert.equal(new TextDecoder().decode(new Uint8Array(taken)), expected);
});

testPure("LineWriter writes a line that is put at the very end of a batch", async () => {
  for (let ticks = 0; ticks < 20; ticks++) {
    const notebook = new Notebook();
    const lines = new LineWriter(notebook, ignoreDropped);
    lines.put("one");
    lines.flush();
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
    lines.put("two");
    await notebook.reads("one\ntwo\n");
  }
});

/** A writer that blocks until it is released. */
class Blocked extends Notebook {
  readonly #gate = Promise.withResolvers<void>();

  release(): void {
    this.#gate.resolve();
  }

  override async write(bytes: Uint8Array): Promise<number> {
    await this.#gate.promise;
    return await super.write(bytes);
  }
}

testPure("LineWriter buffers a bounded number of lines, and counts those it drops", async () => {
  const blocked = new Blocked();
  const reports: number[] = [];
  const lines = new LineWriter(blocked, (count) => {
    reports.push(count);
    lines.put(`${count} dropped`);
  });
  const line = "x".repeat(1023);
  lines.put(line);
  const flushed = lines.flush();
  const count = 5000;
  for (let n = 1; n < count; n++) lines.put(line);
  blocked.release();
  await flushed;
  const written = blocked.text.split("\n").filter((text) => text === line).length;
  assert(written * line.length < 2 * 1024 * 1024, `${written} lines were buffered`);
  assert.deepEqual(reports, [count - written]);
  assert(blocked.text.endsWith(`\n${count - written} dropped\n`));
});

testPure("LineWriter.put() never waits for a writer that never resolves, and never throws", () => {
  const lines = new LineWriter({ write: () => new Promise(() => {}) }, ignoreDropped);
  lines.put("one");
  lines.flush();
  for (let n = 0; n < 100_000; n++) lines.put("x".repeat(100));
});

testPure("LineWriter goes on after the writer has failed", async () => {
  let failures = 0;
  const notebook = new Notebook();
  const writer = {
    write(bytes: Uint8Array): Promise<number> {
      if (failures++ < 2) return Promise.reject(new Error("closed"));
      return notebook.write(bytes);
    },
  };
  const lines = new LineWriter(writer, ignoreDropped);
  lines.put("one");
  await lines.flush();
  lines.put("two");
  await lines.flush();
  lines.put("three");
  await notebook.reads("three\n");
});
