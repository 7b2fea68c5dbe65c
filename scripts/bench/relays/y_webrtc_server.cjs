// deno-lint-ignore-file no-console
/** y-webrtc's server as npm has it, on a free port of loopback. */

const { Server } = require("node:http");

const { listen } = Server.prototype;
Server.prototype.listen = function () {
  const say = () => console.log(`ws://127.0.0.1:${this.address().port}`);
  return listen.call(this, 0, "127.0.0.1", say);
};
import(process.argv[2]);
