/**
 * A program that keeps clients connected which say nothing: holder.ts PORT FIRST COUNT. Their sockets are in a process of
 * their own, as one may not have enough files for two crowds. It prints a line when all are there, and ends with its parent.
 */

import { Driver } from "../driver.ts";

const POLL_MS = 1000;

const [port = NaN, first = NaN, count = NaN] = Deno.args.map(Number);
const parent = Deno.ppid;
const driver = new Driver();
driver.openAll(port, Array.from({ length: count }, (_, index) => `idle_${first + index}`));
Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
while (Deno.ppid === parent) driver.poll(POLL_MS);
driver.close();
