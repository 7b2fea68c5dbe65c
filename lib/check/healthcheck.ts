/** Checks the health of a running server. */

import { connect as connectTcp, isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import { messageOf } from "../log.ts";
import { quote, showUrl } from "./failure.ts";

const TIMEOUT_MS = 5000;
/** Upper bound of the response, in characters. */
const MAX_ANSWER = 65_536;

/**
 * Requests `/healthz` of a server, and returns the response body.
 *
 * The certificate is not checked, because inside a container the server has another name than the certificate.
 *
 * @throws {Error} if the server does not answer, or not as signalbox does when it is healthy
 */
export async function checkHealth(server: URL): Promise<string> {
  const url = new URL(server);
  url.pathname = url.pathname.replace(/\/?(healthz)?$/, "/healthz");
  try {
    const [head = "", body = ""] = (await ask(url)).split(/\r\n\r\n(.*)/s);
    const [, status] = /^HTTP\/1\.[01] (\d{3})/.exec(head) ?? [];
    if (status === undefined) throw new Error("the answer is not HTTP");
    if (!isHealth(body)) {
      throw new Error(`another program answers, with status ${status}: ${quote(body)}`);
    }
    if (status !== "200") throw new Error(`status ${status}: ${body.trim()}`);
    return body.trim();
  } catch (error) {
    throw new Error(`${showUrl(url)} is not healthy: ${messageOf(error)}`);
  }
}

/** Returns whether a body is what signalbox answers at `/healthz`. */
export function isHealth(body: string): boolean {
  try {
    return typeof JSON.parse(body).uptime_seconds === "number";
  } catch {
    return false;
  }
}

/**
 * Sends a GET in HTTP/1.0, whose response ends with the connection, and resolves with the response. It replaces fetch(),
 * which checks every certificate on Deno 2.4, and on 2.9 needs a permission to read those of NODE_EXTRA_CA_CERTS.
 */
function ask(url: URL): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const isTls = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const address = { host, port: Number(url.port) || (isTls ? 443 : 80) };
  const names = isIP(host) === 0 ? { servername: host } : {};
  const request = `GET ${url.pathname}${url.search} HTTP/1.0\r\nHost: ${url.host}\r\n\r\n`;
  const send = () => socket.write(request);
  const socket = isTls
    ? connectTls({ ...address, ...names, rejectUnauthorized: false }, send)
    : connectTcp(address, send);
  const noAnswer = new Error(`no answer within ${TIMEOUT_MS / 1000} s`);
  const timer = setTimeout(() => {
    reject(noAnswer);
    socket.destroy();
  }, TIMEOUT_MS);
  let answer = "";
  socket.setEncoding("utf8");
  socket.on("data", (part) => {
    answer += part;
    if (answer.length > MAX_ANSWER) socket.destroy(new Error("the answer is too long"));
  });
  socket.on("error", reject);
  socket.on("end", () => socket.end());
  socket.on("close", () => {
    clearTimeout(timer);
    resolve(answer);
  });
  return promise;
}
