/** Serves a page with a bundle of a client's published packages: what an app that uses it loads. */

import assert from "node:assert/strict";

/**
 * Bundles a module for browsers. Its packages are pinned by a lock file of their own: `deno compile` puts all of deno.lock's
 * into the executable.
 */
async function bundle(entry: URL): Promise<string> {
  const lock = `--lock=${new URL("deno.lock", entry).pathname}`;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", lock, "--platform", "browser", entry.pathname],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

interface TestPage extends AsyncDisposable {
  readonly url: string;
}

/** Starts a host of its own for the page: the client's server has another origin, as in the field. */
export async function servePage(entry: URL): Promise<TestPage> {
  const script = await bundle(entry);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    const isScript = new URL(url).pathname === "/app.js";
    const body = isScript ? script : '<!doctype html><script type="module" src="/app.js"></script>';
    return new Response(body, {
      headers: { "content-type": isScript ? "text/javascript" : "text/html" },
    });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
