/** What browsers get of the public port: the page at `/` with its files, and the browser client. */

// So that it is fetched, and embedded in the executable; it is browsers that run it.
import "lean-qr";
import { PAGE_POLICY, StaticFiles } from "./static_files.ts";

/** Under `/page/`. */
const PAGE_FILES = [
  "icon.svg",
  "invite.js",
  "map.js",
  "page.css",
  "page.js",
  "panel.js",
  "trouble.js",
  "video.js",
  "wire.js",
];

/**
 * Reads the files, once.
 *
 * @param withPage whether there is a page; the client is always there
 */
export function readPages(withPage: boolean): StaticFiles {
  const files = new StaticFiles();
  const client = new URL("../web/clients/client.js", import.meta.url);
  files.add("/client.js", client, { "access-control-allow-origin": "*" });
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
