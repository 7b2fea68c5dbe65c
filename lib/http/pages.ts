/** Files of the public port: the page at `/`, and the clients that the server hands out. */

// Embeds it in the executable; only browsers run it.
import "lean-qr";
import { PAGE_POLICY, StaticFiles } from "./static_files.ts";

/** Files of the page, served under `/page/`. */
const PAGE_FILES = [
  "icon.svg",
  "invite.js",
  "map.js",
  "page.css",
  "page.js",
  "panel.js",
  "text.js",
  "trouble.js",
  "video.js",
  "wire.js",
];

/**
 * Reads the files.
 *
 * @param withPage whether to serve the page; the clients are always served
 */
export function readPages(withPage: boolean): StaticFiles {
  const files = new StaticFiles();
  const client = new URL("../web/clients/client.js", import.meta.url);
  const anyOrigin = { "access-control-allow-origin": "*" };
  // Deno finds the types of a remote module by this header.
  files.add("/client.js", client, { ...anyOrigin, "x-typescript-types": "./client.d.ts" });
  files.add("/client.d.ts", new URL("../web/clients/client.d.ts", import.meta.url), anyOrigin);
  if (!withPage) return files;
  // The address from which the page's own modules import it: the same as in the folder, which `deno compile` reads.
  files.add("/clients/client.js", client);
  files.add("/", new URL("../web/page/index.html", import.meta.url), PAGE_POLICY);
  files.add("/page/base.css", new URL("../web/base.css", import.meta.url));
  files.add("/page/lean_qr.js", new URL(import.meta.resolve("lean-qr")));
  for (const name of PAGE_FILES) {
    files.add(`/page/${name}`, new URL(`../web/page/${name}`, import.meta.url));
  }
  return files;
}
