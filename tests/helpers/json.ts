/** Reads JSON by its grammar (RFC 8259), keeping the text of each member: lib/dialects/ is tested against it. */

/** A member of an object, as it stands in the text. */
interface RawMember {
  readonly name: string;
  /** The text from the quote that opens its name to the end of its value, with the white space in between. */
  readonly text: string;
  readonly valueText: string;
}

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERAL = /true|false|null/y;

/**
 * The members of the object that a text is, in order; null if it is JSON of another kind.
 *
 * @throws {SyntaxError} if the text is not JSON
 */
export function readMembers(text: string): RawMember[] | null {
  return new Reader(text).document();
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): RawMember[] | null {
    this.#take(SPACE);
    const members = this.#text[this.#at] === "{" ? this.#object() : this.#value();
    this.#take(SPACE);
    if (this.#at !== this.#text.length) throw this.#syntaxError();
    return members;
  }

  #value(): null {
    switch (this.#text[this.#at]) {
      case "{":
        this.#object();
        return null;
      case "[":
        this.#list("[", "]", () => this.#value());
        return null;
      default:
        if (!this.#take(STRING) && !this.#take(NUMBER) && !this.#take(LITERAL)) {
          throw this.#syntaxError();
        }
        return null;
    }
  }

  #object(): RawMember[] {
    return this.#list("{", "}", () => this.#member());
  }

  #member(): RawMember {
    const start = this.#at;
    const name = this.#take(STRING);
    this.#take(SPACE);
    if (!name || !this.#takeOne(":")) throw this.#syntaxError();
    this.#take(SPACE);
    const valueStart = this.#at;
    this.#value();
    return {
      name: JSON.parse(name),
      text: this.#text.slice(start, this.#at),
      valueText: this.#text.slice(valueStart, this.#at),
    };
  }

  #list<Item>(opening: string, closing: string, readItem: () => Item): Item[] {
    const items: Item[] = [];
    this.#takeOne(opening);
    this.#take(SPACE);
    if (this.#takeOne(closing)) return items;
    do {
      this.#take(SPACE);
      items.push(readItem());
      this.#take(SPACE);
    } while (this.#takeOne(","));
    if (!this.#takeOne(closing)) throw this.#syntaxError();
    return items;
  }

  /** Reads what `pattern` matches here; null if it does not match. */
  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.#text) ?? [];
    if (found === undefined) return null;
    this.#at += found.length;
    return found;
  }

  #takeOne(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #syntaxError(): SyntaxError {
    return new SyntaxError(`not JSON at ${this.#at}`);
  }
}
