/** Checks for words that comments, strings and documents do without: one thing has one word. */

/** A word that is out, and what to write. */
const WORDS: readonly (readonly [word: RegExp, instead: string])[] = [
  [/\b(some|no|every)body\b|\bwho(m)?ever\b/i, "the actor: the client, the sender, the operator"],
  [/\bso (many|much)\b/i, "the number, or its name"],
  [/\bit is looked\b/i, "who checks what"],
  [/\b(tells?|telling|told|hears?|hearing|heard)\b/i, "notify, send, report, reject"],
  [/\b(fall|falls|fallen) due\b/i, "expire"],
  [/\bgiven up\b/i, "expired, dropped"],
  [/\b(has|have|is|are) gone\b/i, "disconnected, detached"],
  [/\bthaws?\b|(?<!Object\.)\bfreezes?\b|\bfrozen\b(?!=)/i, "lease"],
  [/\bmistakes?\b/i, "bug, error, internal error"],
  [/\bsurroundings\b/i, "deps"],
  [/\b(backlog|outlet)\b/i, "send buffer"],
  [/\b(hasRoomFor|checkRoom)\b/, "hasCapacityFor, checkCapacity"],
  [/\bnotAfter/, "deadline"],
  [
    /\/\*\*\s+(Of|With|Where|Who|Whom|Whose|For|Whether)\b/,
    "a noun or a verb in the present first",
  ],
];

const FOLDERS = ["lib", "scripts", "tests"];
const FILES = ["main.ts", "README.md", "deno.json", "scripts/cluster-demo"];
const TEXTS = /\.(ts|js|css|html|lua|md|py|sh|cpp|json|yml)$/;

/** Finds the words that are out in a text, a line each. */
export function checkWords(path: string, text: string): string[] {
  return text.split("\n").flatMap((line, index) =>
    WORDS.filter(([word]) => word.test(line)).map(([word, instead]) =>
      `${path}:${index + 1}: "${word.exec(line)![0].trim()}": write ${instead}`
    )
  );
}

function textsIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return textsIn(path);
    return TEXTS.test(name) && path !== "scripts/check_words.ts" ? [path] : [];
  });
}

if (import.meta.main) {
  const paths = [...FOLDERS.flatMap(textsIn), ...FILES];
  const found = paths.flatMap((path) => checkWords(path, Deno.readTextFileSync(path)));
  for (const line of found) console.error(line);
  if (found.length > 0) Deno.exit(1);
}
