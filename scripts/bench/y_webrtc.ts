/** The benchmark's command for y-webrtc's own protocol: signalbox beside y-webrtc's server, taking turns; prints a table. */

import { yWebrtcServer } from "./contenders.ts";
import { compare } from "./peerjs.ts";
import { Y_WEBRTC } from "./protocol.ts";

if (import.meta.main) await compare(await yWebrtcServer(), Y_WEBRTC);
