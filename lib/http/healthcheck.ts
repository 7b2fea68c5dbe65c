/** Asks a running server whether it serves. */

import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

const TIMEOUT_MS = 5000;

/**
 * Asks `/healthz` of a server, and returns what it says.
 *
 * A certificate is not checked: inside a container the server is asked by another name than it is issued for.
 *
 * @throws {Error} if it does not answer, or not with 200
 */
export async function checkHealth(server: URL): Promise<string> {
  const url = new URL(server);
  url.pathname = url.pathname.replace(/\/?(healthz)?$/, "/healthz");
  const { promise, resolve, reject } = Promise.withResolvers<readonly [number, string]>();
  // Without a list of its own, the request reads the one of NODE_EXTRA_CA_CERTS, which Deno 2.9 does not permit.
  const options = { timeout: TIMEOUT_MS, rejectUnauthorized: false, ca: [] };
  const request = url.protocol === "https:"
    ? requestHttps(url, options)
    : requestHttp(url, { timeout: TIMEOUT_MS });
  request.on("response", (response) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (part: string) => text += part);
    response.on("end", () => resolve([response.statusCode ?? 0, text]));
    response.on("error", reject);
  });
  request.on(
    "timeout",
    () => request.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)),
  );
  request.on("error", reject);
  request.end();
  try {
    const [status, text] = await promise;
    if (status === 200) return text.trim();
    throw new Error(`status ${status}: ${text.trim()}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${url.href} is not healthy: ${reason}`);
  }
}
