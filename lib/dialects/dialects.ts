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

/** Returns the dialects in the order in which they are tried. The core protocol accepts every client, so it is the last. */
export function createDialects(options: DialectOptions): readonly [...Dialect[], Dialect] {
  const all = [peerjs(options), trystero, yWebrtc, libdatachannel];
  const enabled = all.filter(({ name }) => name !== null && options.dialects.includes(name));
  return [...enabled, signalbox];
}
