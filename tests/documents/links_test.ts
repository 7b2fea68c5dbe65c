/** Links between documents hold: in the repository, and below `/docs/`, too. */

import assert from "node:assert/strict";
import {
  anchorsIn,
  type Document,
  headingsIn,
  linksIn,
  readAllDocuments,
} from "../helpers/documents.ts";
import { isFile } from "../helpers/tools.ts";
import config from "../../deno.json" with { type: "json" };

const TOP = new URL("../../", import.meta.url);
const documents = readAllDocuments();

function resolve(link: string, { path }: Document): { path: string; anchor: string } {
  const url = new URL(link, new URL(path, TOP));
  const anchor = decodeURIComponent(url.hash.slice(1));
  return { path: url.pathname.slice(TOP.pathname.length), anchor };
}

for (const document of documents) {
  Deno.test(`links of ${document.path} lead somewhere`, () => {
    for (const link of linksIn(document).filter((link) => !/^https?:/.test(link))) {
      const { path, anchor } = resolve(link, document);
      assert.ok(isFile(TOP.pathname + path), link);
      const isServed = document.path !== "README.md";
      if (isServed) assert.ok(path.startsWith("lib/web/docs/"), `${link} leads out of /docs/`);
      if (anchor === "") continue;
      const target = documents.find((it) => it.path === path);
      assert.ok(target && anchorsIn(target).includes(anchor), link);
    }
  });

  Deno.test(`headings of ${document.path} have anchors of their own`, () => {
    const anchors = anchorsIn(document);
    assert.equal(new Set(anchors).size, anchors.length);
    for (const heading of headingsIn(document).slice(1)) assert.doesNotMatch(heading, /\]\(/);
  });

  Deno.test(`tasks that ${document.path} names exist`, () => {
    for (const [, task] of document.text.matchAll(/deno task ([a-z:]+)/g)) {
      assert.ok(Object.hasOwn(config.tasks, task!), task);
    }
  });

  Deno.test(`files of the source that ${document.path} names exist`, () => {
    for (const [, path] of document.text.matchAll(/`((?:scripts|tests|lib)\/[\w./-]+)`/g)) {
      if (path!.endsWith("/")) assert.ok(Deno.statSync(new URL(path!, TOP)).isDirectory, path);
      else assert.ok(isFile(TOP.pathname + path), path);
    }
  });
}
