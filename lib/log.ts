/** Log lines: what they look like, and a way to stderr that the relay never waits for. */

import { configureSync, getLogger, type LogLevel, type LogRecord } from "@logtape/logtape";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LOG_LEVELS)[number];
export type Format = "text" | "json";

/** What a line says beside its message, in JSON. */
export type Fields = Readonly<Record<string, string | number | undefined>>;

export interface Log {
  /** Whether a line of this level is written: where not, build nothing for it. */
  enabled(level: Level): boolean;
  /**
   * Writes a line. `fields` are for JSON alone, and are asked for only there.
   *
   * @param stack of an error; in text, its frames stay on lines of their own
   */
  write(level: Level, message: string, fields: () => Fields, stack?: string): void;
}

// LogTape calls "warning" what everybody else calls "warn".
const LOGTAPE_LEVELS = { debug: "debug", info: "info", warn: "warning", error: "error" } as const;

/** A log that hands each finished line, without its line feed, to `put`. LogTape knows one at a time. */
export function createLog(level: Level, format: Format, put: (line: string) => void): Log {
  const toLine = format === "json" ? toJsonLine : toTextLine;
  configureSync({
    reset: true,
    sinks: { lines: (record: LogRecord) => put(toLine(record)) },
    loggers: [
      { category: "signalbox", sinks: ["lines"], lowestLevel: LOGTAPE_LEVELS[level] },
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  const logger = getLogger("signalbox");
  return {
    enabled: (level) => logger.isEnabledFor(LOGTAPE_LEVELS[level]),
    write(level, message, fields, stack) {
      // Only JSON shows the fields, and a record with properties costs LogTape four times as much.
      if (format === "json") logger[level](message, { ...fields(), stack });
      else if (stack === undefined) logger[level](message);
      else logger[level](message, { stack });
    },
  };
}

// Both use `rawMessage`: in the other one LogTape has replaced what stands between braces, which a client may have sent.

function toTextLine(record: LogRecord): string {
  const { stack } = record.properties;
  const line = `${levelName(record.level).toUpperCase()} - ${escapeControls(rawMessage(record))}`;
  return typeof stack === "string" ? `${line}${escapeStack(stack)}` : line;
}

function toJsonLine(record: LogRecord): string {
  const line = {
    time: new Date(record.timestamp).toISOString(),
    level: levelName(record.level),
    msg: rawMessage(record),
    ...record.properties,
  };
  return escapeControls(JSON.stringify(line));
}

function rawMessage(record: LogRecord): string {
  return typeof record.rawMessage === "string" ? record.rawMessage : record.rawMessage.join("");
}

function levelName(level: LogLevel): string {
  return level === "warning" ? "warn" : level;
}

/** Control characters, format characters (bidirectional and invisible ones), and Unicode's line separators. */
const CONTROLS = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** Writes control and format characters as JSON's escapes, so that a client's text cannot start a line or move a cursor. */
export function escapeControls(text: string): string {
  return text.replace(CONTROLS, (character) => character.split("").map(escapeUnit).join(""));
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Keeps the line breaks before stack frames; those of the error's message are escaped. */
function escapeStack(stack: string): string {
  return stack.split(/\n(?= {4}at )/).map(escapeControls).join("\n");
}

/** Somewhere to write bytes, like Deno.stderr. */
export interface ByteWriter {
  write(bytes: Uint8Array): Promise<number>;
}

const FLUSH_DELAY_MS = 20;
const MAX_WAITING_CHARS = 1024 * 1024;

/**
 * Collects lines and writes them a batch at a time in the background. Where they come faster than the writer takes
 * them, or it takes none any more, lines are lost, and counted; nobody ever waits.
 */
export class LineWriter {
  readonly #writer: ByteWriter;
  readonly #encoder = new TextEncoder();
  #lines: string[] = [];
  #waitingChars = 0;
  #lost = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | null = null;

  readonly #onLost: (lines: number) => void;

  /** @param onLost is told, once there is room again, how many lines were lost; what it logs comes next */
  constructor(writer: ByteWriter, onLost: (lines: number) => void) {
    this.#writer = writer;
    this.#onLost = onLost;
  }

  put(line: string): void {
    if (this.#waitingChars > MAX_WAITING_CHARS) {
      this.#lost++;
      return;
    }
    this.#lines.push(line);
    this.#waitingChars += line.length;
    if (this.#writing === null) this.#flushSoon();
  }

  #flushSoon(): void {
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_DELAY_MS);
  }

  /** Writes what waits. Resolves once all of it is written or lost; never rejects. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
      if (this.#lines.length > 0) this.#flushSoon(); // put when it was as good as done
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#lines.length > 0) {
      const bytes = this.#encoder.encode(this.#lines.join("\n") + "\n");
      this.#lines = [];
      this.#waitingChars = 0;
      this.#reportLost(); // now there is room for it, and it stands where the lost lines would have stood
      try {
        for (let written = 0; written < bytes.length;) {
          written += await this.#writer.write(bytes.subarray(written));
        }
      } catch {
        return; // stderr is closed: nobody is left to tell
      }
    }
  }

  #reportLost(): void {
    if (this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.#onLost(lost);
  }
}
