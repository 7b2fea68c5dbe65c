/** Log lines: their format, and a writer to stderr that never blocks the relay. */

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LOG_LEVELS)[number];
export type Format = "text" | "json";

/** The members of a JSON line beside time, level and message. */
export type Fields = Readonly<Record<string, string | number | undefined>>;

export interface Log {
  /** Returns whether lines of this level are written. */
  enabled(level: Level): boolean;
  /**
   * Writes a line. `fields` is called for JSON alone.
   *
   * @param stack of an error; in text, its frames stay on lines of their own
   */
  write(level: Level, message: string, fields?: () => Fields, stack?: string): void;
}

/** Creates a log that passes each finished line, without its line feed, to `put`. */
export function createLog(lowest: Level, format: Format, put: (line: string) => void): Log {
  const levels: readonly Level[] = LOG_LEVELS.slice(LOG_LEVELS.indexOf(lowest));
  return {
    enabled: (level) => levels.includes(level),
    write(level, message, fields, stack) {
      if (!levels.includes(level)) return;
      if (format === "json") put(toJsonLine(level, message, { ...fields?.(), stack }));
      else put(toTextLine(level, message, stack));
    },
  };
}

function toTextLine(level: Level, message: string, stack?: string): string {
  const line = `${level.toUpperCase()} - ${escapeControls(message)}`;
  return stack === undefined ? line : `${line}: ${escapeStack(stack)}`;
}

function toJsonLine(level: Level, msg: string, fields: Fields): string {
  return escapeControls(JSON.stringify({ time: new Date().toISOString(), level, msg, ...fields }));
}

/** Returns what an error says, or whatever was thrown in its place. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Ends a text with a full stop, unless it ends like a sentence. */
export function asSentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
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

/** A destination of bytes, such as Deno.stderr. */
export interface ByteWriter {
  write(bytes: Uint8Array): Promise<number>;
}

const FLUSH_DELAY_MS = 20;
const MAX_BUFFERED_CHARS = 1024 * 1024;

/**
 * Collects lines and writes them in batches in the background. Lines that find the buffer full are dropped and counted,
 * because the writer is slower than they come or is blocked.
 */
export class LineWriter {
  readonly #writer: ByteWriter;
  readonly #onDropped: (count: number) => void;
  readonly #encoder = new TextEncoder();
  #lines: string[] = [];
  #bufferedChars = 0;
  #dropped = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | null = null;

  /** @param onDropped reports the number of dropped lines as soon as the buffer has space; it may put a line */
  constructor(writer: ByteWriter, onDropped: (count: number) => void) {
    this.#writer = writer;
    this.#onDropped = onDropped;
  }

  put(line: string): void {
    if (this.#bufferedChars > MAX_BUFFERED_CHARS) {
      this.#dropped++;
      return;
    }
    this.#lines.push(line);
    this.#bufferedChars += line.length;
    if (this.#writing === null) this.#flushSoon();
  }

  #flushSoon(): void {
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_DELAY_MS);
  }

  /** Writes the buffered lines. Resolves once they are written or lost; never rejects. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
      if (this.#lines.length > 0) this.#flushSoon(); // a line was put after the last check
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#lines.length > 0) {
      const bytes = this.#encoder.encode(this.#lines.join("\n") + "\n");
      this.#lines = [];
      this.#bufferedChars = 0;
      this.#reportDropped(); // its line takes the place of the dropped ones
      try {
        for (let written = 0; written < bytes.length;) {
          written += await this.#writer.write(bytes.subarray(written));
        }
      } catch {
        return; // stderr is closed
      }
    }
  }

  #reportDropped(): void {
    if (this.#dropped === 0) return;
    const count = this.#dropped;
    this.#dropped = 0;
    this.#onDropped(count);
  }
}
