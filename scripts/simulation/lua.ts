/** Runs the scripts of the cluster outside of Redis. That has Lua 5.1, this is 5.4: the scripts use what both have. */

import { type LuaEngine, LuaFactory } from "wasmoon";

/** Executes a command of Redis for a script; false in place of nil. */
type Call = (...command: (string | number)[]) => unknown;
type Script = (keys: readonly string[], args: readonly string[]) => unknown;

const PRELUDE = `
redis, cjson, unpack = { call = call }, { encode = encode }, table.unpack
function compile(text) return load('local KEYS, ARGV = ...\\n' .. text) end
`;
/** Stands for a zero, at which the engine would end a string. */
const ZERO = "\u0002";

export class Lua implements Disposable {
  readonly #engine: LuaEngine;
  readonly #scripts = new Map<string, Script>();
  #call: Call = () => false;

  private constructor(engine: LuaEngine) {
    this.#engine = engine;
    engine.global.set("call", (...command: (string | number)[]) => this.#call(...command));
    engine.global.set("encode", (value: unknown) => JSON.stringify(value));
    engine.doStringSync(PRELUDE);
  }

  static async start(): Promise<Lua> {
    return new Lua(await new LuaFactory().createEngine({ enableProxy: false }));
  }

  /** Runs a script, and returns its reply. */
  run(text: string, keys: readonly string[], args: readonly string[], call: Call): unknown {
    let script = this.#scripts.get(text);
    if (script === undefined) {
      script = this.#engine.global.get("compile")(text.replaceAll("\\0", ZERO)) as Script;
      this.#scripts.set(text, script);
    }
    this.#call = call;
    const reply = script(keys, args.map((arg) => arg.replaceAll("\0", ZERO)));
    const isTable = typeof reply === "object" && reply !== null; // an empty one is no array
    return isTable ? Object.values(reply).map(withZeros) : reply;
  }

  [Symbol.dispose](): void {
    this.#engine.global.close();
  }
}

function withZeros(value: unknown): unknown {
  return typeof value === "string" ? value.replaceAll(ZERO, "\0") : value;
}
