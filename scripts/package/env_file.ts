/** Makes signalbox.env, which systemd reads: every option as a comment with its default. */

import { type Setting, SETTINGS, variableName } from "../../lib/config/options.ts";

const HEAD = `\
# Options of signalbox, each as a comment with its default. To change one, remove its "#" and restart the service:
#
#   systemctl restart signalbox
#
# Lists are separated by commas: SIGNALBOX_ALLOW_ORIGIN=https://a.example,https://b.example. A switch is 1 or 0, and
# SIGNALBOX_TRUST_PROXY=1 is --trust-proxy without a list. Secrets, and SIGNALBOX_REDIS, are not split at commas: several
# stand one a line in the file that the variable with _FILE names.
#
# All of them explained: signalbox help operating. Only root can read this file, so a secret may stand in it. A file of its
# own is better: systemctl edit signalbox shows the lines for it. The unit sets SIGNALBOX_MAX_MEMORY, too.
`;

/** Folder of what the unit loads with `LoadCredential=auth-secret:…`. */
const CREDENTIALS = "/run/credentials/signalbox.service";
const LINE_CHARS = 118;

export function makeEnvFile(): string {
  return [HEAD, ...Object.values<Setting>(SETTINGS).map(describe)].join("\n");
}

function describe(setting: Setting): string {
  const { flag, help, secret, computedDefault } = setting;
  const isSwitch = !flag.includes(" ");
  const name = variableName(setting);
  const byDefault = computedDefault === undefined ? "" : ` (default: ${computedDefault})`;
  const lines = [`#${name}=${setting.default ?? (isSwitch ? "0" : "")}`];
  if (secret) lines.push(`#${name}_FILE=${CREDENTIALS}/${flag.split(" ")[0]!.slice(2)}`);
  const text = secret ? help.replace("repeatable:", "several one a line in the file:") : help;
  return `${wrap(text + byDefault)}${lines.join("\n")}\n`;
}

function wrap(text: string): string {
  return text.replaceAll(new RegExp(`(.{1,${LINE_CHARS}})(?: |$)`, "g"), "# $1\n");
}
