/** Errors of listening say what to do. */

import assert from "node:assert/strict";
import { explainListening } from "../../lib/http/listen_errors.ts";
import { testPure } from "../helpers/pure.ts";

const inUse = new Deno.errors.AddrInUse("Address already in use (os error 98)");
const denied = new Deno.errors.PermissionDenied("Permission denied (os error 13)");

testPure("explainListening() suggests a free port for one in use", () => {
  const isFree = (port: number) => port >= 8777;
  const stop = "the port is in use by another program: stop that, or ";
  assert.equal(explainListening(inUse, 8765, isFree), `${stop}try --port 8777`);
  assert.equal(explainListening(inUse, 8765, () => false), `${stop}give another one`);
  assert.equal(explainListening(inUse, 65535, () => true), `${stop}give another one`);
});

testPure("explainListening() writes the suggestion as the option that takes it", () => {
  const text = explainListening(inUse, 8766, () => true, (port) => `--admin [::1]:${port}`);
  assert.match(text, /: stop that, or try --admin \[::1\]:8776$/);
});

testPure("explainListening() names the capability for a port below 1024", () => {
  const text = explainListening(denied, 443, () => true);
  assert.match(text, /^Permission denied .*CAP_NET_BIND_SERVICE.*setcap.* 1024 or above$/);
  assert.equal(explainListening(denied, 8765, () => true), denied.message);
});

testPure("explainListening() leaves other errors as they are", () => {
  assert.equal(explainListening(new Error("No such host"), 443, () => true), "No such host");
});
