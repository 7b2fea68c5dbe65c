/** The dialects that a server speaks. */

import type { Dialect } from "../relay/vocabulary.ts";
import { libdatachannel } from "./libdatachannel.ts";
import { peerjs, type PeerJsOptions } from "./peerjs.ts";
import { signalbox } from "./signalbox.ts";
import { trystero, yWebrtc } from "./topics.ts";

export interface DialectOptions extends PeerJsOptions {
  /** The names of the enabled dialects, beside the core protocol. */
  readonly dialects: readonly string[];
}

/** Protocols of other servers, by the names that `--dialects` takes, in the order in which they are tried. */
const DIALECTS: Readonly<
  Record<string, (options: DialectOptions, needsToken: boolean) => Dialect>
> = {
  peerjs,
  "y-webrtc": () => yWebrtc,
  trystero: () => trystero,
  libdatachannel: () => libdatachannel,
};

export const DIALECT_NAMES: readonly string[] = Object.keys(DIALECTS);

/**
 * Returns the enabled dialects, and last the core protocol.
 *
 * @param needsToken true if clients need a token
 */
export function createDialects(
  options: DialectOptions,
  needsToken: boolean,
): readonly [...Dialect[], Dialect] {
  const enabled = DIALECT_NAMES.filter((name) => options.dialects.includes(name));
  return [...enabled.map((name) => DIALECTS[name]!(options, needsToken)), signalbox];
}
