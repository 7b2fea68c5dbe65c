/** Redis's protocol (RESP3), as far as scripts and published messages need it. ASCII only: a character is a byte. */

/** What Redis sends: a reply, or something published. */
export type Value = string | number | null | readonly Value[] | Published;

export interface Published {
  readonly channel: string;
  readonly text: string;
}

export function isPublished(value: Value): value is Published {
  return typeof value === "object" && value !== null && "channel" in value;
}

const CRLF = "\r\n";

export function writeCommand(parts: readonly (string | number)[]): string {
  let text = `*${parts.length}${CRLF}`;
  for (const part of parts.map(String)) text += `$${part.length}${CRLF}${part}${CRLF}`;
  return text;
}

/** Reads values from what comes in pieces. */
export class RespReader {
  #text = "";
  #at = 0;

  add(piece: string): void {
    this.#text = this.#text.slice(this.#at) + piece;
    this.#at = 0;
  }

  /**
   * The next value; undefined where it is not all there yet.
   *
   * @throws {Error} where it is an error
   */
  next(): Value | undefined {
    const start = this.#at;
    const value = this.#read();
    if (value === undefined) this.#at = start;
    return value;
  }

  #read(): Value | undefined {
    const end = this.#text.indexOf(CRLF, this.#at);
    if (end === -1) return undefined;
    const type = this.#text[this.#at];
    const head = this.#text.slice(this.#at + 1, end);
    this.#at = end + CRLF.length;
    switch (type) {
      case "+":
        return head;
      case ":":
        return Number(head);
      case "_":
        return null;
      case "$":
        return this.#readString(Number(head));
      case "*":
        return this.#readList(Number(head));
      case "%":
        return this.#readList(2 * Number(head));
      case ">":
        return this.#readPush(Number(head));
      default:
        throw new Error(`Redis says ${type}${head}`);
    }
  }

  #readString(length: number): string | undefined {
    const end = this.#at + length;
    if (end + CRLF.length > this.#text.length) return undefined;
    const text = this.#text.slice(this.#at, end);
    this.#at = end + CRLF.length;
    return text;
  }

  #readList(length: number): Value[] | undefined {
    const list: Value[] = [];
    while (list.length < length) {
      const value = this.#read();
      if (value === undefined) return undefined;
      list.push(value);
    }
    return list;
  }

  /** A message, or the answer to (un)subscribing, which counts as a reply. */
  #readPush(length: number): Value | undefined {
    const list = this.#readList(length);
    if (list?.[0] !== "message") return list;
    return { channel: String(list[1]), text: String(list[2]) };
  }
}
