/** coturn with the configuration of deploying.md, and the credentials that signalbox hands out. */

import { isOwnNetworkMissing, runInOwnNetwork } from "../helpers/cable.ts";
import { isMissingOpenssl } from "../helpers/certificate.ts";
import { isTurnMissing } from "../helpers/turn_server.ts";

Deno.test("coturn relays for clients of signalbox, denies private addresses, and takes a renewed certificate", async () => {
  if (isTurnMissing() || isMissingOpenssl() || isOwnNetworkMissing()) return;
  await runInOwnNetwork(new URL("turn_in_namespace.ts", import.meta.url));
});
