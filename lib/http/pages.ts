/** The static files of the public port: the page at `/`, and the client libraries. */

// Embeds the package in the executable; only browsers run it.
import "lean-qr";
import { PAGE_POLICY, StaticFiles } from "./static_files.ts";

/** Files of the page, served under `/page/`. */
const PAGE_FILES = [
  "ice.js",
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

/** The client libraries, of the server's own version. */
const CLIENT_FILES = ["client.js", "client.d.ts", "client.py"];

/**
 * Reads the files.
 *
 * @param withPage whether to serve the page; the clients are always served
 */
export function readPages(withPage: boolean): StaticFiles {
  const files = new StaticFiles();
  for (const name of CLIENT_FILES) {
    files.add(`/${name}`, new URL(`../web/clients/${name}`, import.meta.url), {
      "access-control-allow-origin": "*",
      // Deno finds the types of a remote module by this header.
      ...(name === "client.js" && { "x-typescript-types": "./client.d.ts" }),
    });
  }
  if (!withPage) return files;
  // The page's modules import it by this path, which is also the one in the source tree, because `deno compile` follows it.
  files.add("/clients/client.js", new URL("../web/clients/client.js", import.meta.url));
  files.add("/", new URL("../web/page/index.html", import.meta.url), PAGE_POLICY);
  files.add("/page/base.css", new URL("../web/base.css", import.meta.url));
  files.add("/page/lean_qr.js", new URL(import.meta.resolve("lean-qr")));
  for (const name of PAGE_FILES) {
    files.add(`/page/${name}`, new URL(`../web/page/${name}`, import.meta.url));
  }
  return files;
}
