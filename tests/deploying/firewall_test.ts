/** The firewall of deploying.md is one that the kernel takes, and opens what the document needs. */

import assert from "node:assert/strict";
import { inOwnNetwork, isOwnNetworkMissing } from "../helpers/cable.ts";
import { isFile, isMissing } from "../helpers/tools.ts";
import { printedFile } from "./document.ts";

const NFT = "/usr/sbin/nft";

Deno.test("nftables takes the printed rules", async () => {
  if (isMissing(isFile(NFT), `${NFT} (Debian: nftables)`) || isOwnNetworkMissing()) return;
  const file = await Deno.makeTempFile({ suffix: ".nft" });
  try {
    await Deno.writeTextFile(file, printedFile("/etc/nftables.conf"));
    const script = `${NFT} -c -f ${file} && ${NFT} -f ${file} && ${NFT} list ruleset`;
    const [program, ...args] = inOwnNetwork(["sh", "-c", script]);
    const { success, stdout, stderr } = await new Deno.Command(program!, { args }).output();
    const decoder = new TextDecoder();
    assert.ok(success, decoder.decode(stderr));
    assert.match(decoder.decode(stdout), /policy drop;/);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("the firewall opens the ports of coturn", () => {
  const rules = printedFile("/etc/nftables.conf");
  const turn = printedFile("/etc/turnserver.conf");
  const port = (name: string) => new RegExp(`^${name}=(\\d+)$`, "m").exec(turn)![1];
  const both = `{ ${port("listening-port")}, ${port("tls-listening-port")} }`;
  assert.ok(rules.includes(`tcp dport ${both}`), both);
  assert.ok(rules.includes(`udp dport ${both}`), both);
  assert.ok(rules.includes(`udp dport ${port("min-port")}-${port("max-port")} `));
});
