/** Arbitrary JSON for property tests: rendered in every way that the grammar allows, with all that could mislead a reader. */

import fc, { type Arbitrary } from "fast-check";

/** White space as JSON has it, mostly none. */
const space = fc.oneof(
  { weight: 3, arbitrary: fc.constant("") },
  {
    weight: 1,
    arbitrary: fc.string({ unit: fc.constantFrom(" ", "\t", "\n", "\r"), maxLength: 3 }),
  },
);

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "/": "\\/",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** A string as JSON text. Each character that may be escaped or not is either. */
export function rendered(text: string): Arbitrary<string> {
  const units = text.split("").map(renderedUnit);
  return fc.tuple(...units).map((parts) => `"${parts.join("")}"`);
}

function renderedUnit(unit: string): Arbitrary<string> {
  const hex = unit.charCodeAt(0).toString(16).padStart(4, "0");
  const escapes = [`\\u${hex}`, `\\u${hex.toUpperCase()}`];
  if (SHORT_ESCAPES[unit] !== undefined) escapes.push(SHORT_ESCAPES[unit]);
  const mustEscape = unit === '"' || unit === "\\" || unit < " ";
  const escaped = fc.constantFrom(...escapes);
  if (mustEscape) return escaped;
  return fc.oneof({ weight: 5, arbitrary: fc.constant(unit) }, { weight: 1, arbitrary: escaped });
}

/** Any characters, also halves of surrogate pairs. */
const anyText = fc.string({ unit: "binary", maxLength: 8 });
const lonely = fc.constantFrom("\ud800", "\udfff", "a\udc00b", "\ud83d");
/** Texts that a careless reader takes for something else. */
const misleading = fc.constantFrom(
  '"target_id":"x"',
  '","target_id":"x","a":"',
  '{"from":"x"}',
  '\\","from":"x',
  "\\",
  "\\\\",
  '\\\\"',
  '"',
  "}",
  "]",
  "{[,:",
  "",
);

const text = fc.oneof(anyText, lonely, misleading);
const stringText = text.chain(rendered);

const numberText = fc.oneof(
  fc.constantFrom("0", "-0", "1.0", "1e400", "-1E+05", "12345678901234567890", "0.10e-7"),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => JSON.stringify(number)),
);

/** A JSON value that is neither an array nor an object. */
export const scalarText = fc.oneof(
  stringText,
  numberText,
  fc.constantFrom("true", "false", "null"),
);

const nameText = fc.oneof(
  { weight: 2, arbitrary: rendered("target_id") },
  { weight: 2, arbitrary: rendered("from") },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "type",
      "__proto__",
      "constructor",
      "target_id ",
      "From",
      "",
      "toJSON",
    )
      .chain(rendered),
  },
  { weight: 1, arbitrary: stringText },
);

function listText(opening: string, closing: string, item: Arbitrary<string>, maxLength: number) {
  const spacedItem = fc.tuple(space, item, space).map((parts) => parts.join(""));
  return fc.tuple(fc.array(spacedItem, { maxLength }), space)
    .map(([items, inside]) => `${opening}${items.length > 0 ? items.join(",") : inside}${closing}`);
}

function memberText(value: Arbitrary<string>) {
  return fc.tuple(nameText, space, fc.constant(":"), space, value).map((parts) => parts.join(""));
}

const { valueText } = fc.letrec<{ valueText: string }>((tie) => ({
  valueText: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    { weight: 3, arbitrary: scalarText },
    { weight: 1, arbitrary: listText("[", "]", tie("valueText"), 3) },
    { weight: 1, arbitrary: listText("{", "}", memberText(tie("valueText")), 3) },
  ),
}));

/** A JSON value of any kind. */
export const jsonText = fc.tuple(space, valueText, space).map((parts) => parts.join(""));

/** A `target_id` that the protocol takes. */
const targetText = fc.oneof(stringText, fc.constantFrom("null", '""', '"bob"', '"b\\u006fb"'));

const targetMemberText = fc.tuple(rendered("target_id"), space, fc.constant(":"), space, targetText)
  .map((parts) => parts.join(""));

/** A JSON object with any number of `target_id` and `from` members of any value, at any depth. */
export const objectText = fc
  .tuple(
    space,
    listText(
      "{",
      "}",
      fc.oneof(
        { weight: 3, arbitrary: memberText(valueText) },
        { weight: 1, arbitrary: targetMemberText },
      ),
      6,
    ),
    space,
  )
  .map((parts) => parts.join(""));

/** A text with one change, after which it is mostly no longer valid. */
export function mutated(original: Arbitrary<string>): Arbitrary<string> {
  const piece = fc.oneof(
    fc.constantFrom(..."{}[]:,\"\\ \n0.-+eEtnu\u0000\u000b\u00a0\u2028\ufeff'/"),
    fc.constantFrom(
      "//",
      "/**/",
      "NaN",
      "Infinity",
      "undefined",
      "\\u12",
      "\\x41",
      "01",
      "1.",
      ",,",
    ),
  );
  return fc.tuple(original, fc.nat(), fc.nat({ max: 3 }), fc.oneof(fc.constant(""), piece))
    .map(([text, position, removed, inserted]) => {
      const at = position % (text.length + 1);
      return text.slice(0, at) + inserted + text.slice(at + removed);
    });
}
