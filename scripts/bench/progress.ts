/** Shows the progress to a person who waits. */

/** Somewhere to write, like Deno.stderr. */
export interface Output {
  writeSync(bytes: Uint8Array): number;
  isTerminal(): boolean;
}

/** Lines, and on a terminal the state of things below them. */
export class Progress {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Shows the state; the next call of either replaces it. */
  show(state: string): void {
    if (this.#output.isTerminal()) this.#write(`${ERASE_LINE}${state} `);
  }

  say(lines: string): void {
    this.#write(`${this.#output.isTerminal() ? ERASE_LINE : ""}${lines}\n`);
  }

  #write(text: string): void {
    this.#output.writeSync(new TextEncoder().encode(text));
  }
}

/** To the line's beginning, and all of it gone (ECMA-48). */
const ERASE_LINE = "\r\x1b[2K";
