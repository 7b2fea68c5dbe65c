/** Reads the health of a server. */

/** Returns the number of connected clients. */
export async function clientsAt(httpUrl: string): Promise<number> {
  const { clients } = await (await fetch(`${httpUrl}/healthz`)).json();
  return clients;
}

/** Resolves once the last client has left: the server may see an end a little later than its client. */
export async function untilEmpty(httpUrl: string): Promise<void> {
  while (await clientsAt(httpUrl) > 0) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Resolves once the server says of itself that it is `ok`, or `degraded`. */
export async function untilStatus(httpUrl: string, status: "ok" | "degraded"): Promise<void> {
  while ((await (await fetch(`${httpUrl}/healthz`)).json()).status !== status) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
