/** The files of the admin page. */

import { PAGE_POLICY, StaticFiles } from "../http/static_files.ts";

const FILES = [
  "admin.css",
  "admin.js",
  "chart.js",
  "clients.js",
  "counts.js",
  "disconnect.js",
  "format.js",
  "icon.svg",
  "timeline.js",
];

/** Reads all files of the page. */
export function readAdminPage(): StaticFiles {
  const files = new StaticFiles();
  files.add("/", new URL("../web/admin/index.html", import.meta.url), PAGE_POLICY);
  files.add("/base.css", new URL("../web/base.css", import.meta.url));
  for (const name of FILES) files.add(`/${name}`, new URL(`../web/admin/${name}`, import.meta.url));
  return files;
}
