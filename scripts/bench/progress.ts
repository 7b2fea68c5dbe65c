/** Shows the progress of a run. */

/** A destination of text, such as Deno.stderr. */
export interface Output {
  writeSync(bytes: Uint8Array): number;
  isTerminal(): boolean;
}

/** Prints lines, and on a terminal the current state below them. */
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

/** Moves to the beginning of the line and erases it (ECMA-48). */
const ERASE_LINE = "\r\x1b[2K";
