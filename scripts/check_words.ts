/** Checks for words that comments, strings and documents do without: one thing has one word. */

/** Words with which no doc comment begins. */
const NO_BEGINNINGS =
  "After|As|At|Because|Before|Between|By|For|From|How|However|If|In|Like|Of|On|" +
  "Only|So|Then|To|Until|What|When|Where|Whether|While|Who|Whom|Whose|Why|With|Without";

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
  [/(?<!\btcp )\b(backlog|outlet)\b/i, "send buffer"],
  [/\b(hasRoomFor|checkRoom)\b/, "hasCapacityFor, checkCapacity"],
  [/\bnotAfter/, "deadline"],
  [/\b(im)?patien(ce|t)\b/i, "timeout, time limit"],
  [/\b(null|undefined|true|false|zero|0) where\b/i, "if"],
  [
    new RegExp(`(/\\*\\*|""")\\s*(${NO_BEGINNINGS})\\b`),
    "a noun or a verb in the present first",
  ],
];

const FOLDERS = [".github", "lib", "scripts", "tests"];
const FILES = ["main.ts", "README.md", "deno.json", "scripts/cluster-demo"];
const TEXTS = /\.(ts|js|css|html|lua|md|py|sh|cpp|json|yml|service)$/;

/** Finds the words that are out in a text, a line each. */
export function checkWords(path: string, text: string): string[] {
  // Moves the opening mark to the line of the first word, without a change of the number of lines.
  const lines = text.replace(/(\/\*\*|""")\n\s*\*?/g, "\n$1").split("\n");
  return lines.flatMap((line, index) => {
    const words = apart(line);
    return WORDS.flatMap(([word, instead]) => {
      const found = word.exec(line) ?? word.exec(words);
      return found ? [`${path}:${index + 1}: "${found[0].trim()}": write ${instead}`] : [];
    });
  });
}

/** Separates the words of identifiers: `tellAll` and `tell_all` become `tell All` and `tell all`. */
function apart(line: string): string {
  return line.replace(/(?<=[a-z0-9])(?=[A-Z])|_/g, " ");
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
