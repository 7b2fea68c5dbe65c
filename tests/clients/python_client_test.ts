/** The Python client by itself: its unit tests, its types, its package. */

import assert from "node:assert/strict";
import { PositionEncoding, Workspace } from "@astral-sh/ruff-wasm-nodejs";
import { DEBIAN_PYTHON, isFile, isMissing, succeeds } from "../helpers/tools.ts";
import { isAiortcMissing, isWebsocketsMissing, PythonPath, succeed } from "./python.ts";

const HERE = new URL(".", import.meta.url).pathname;
const CLIENTS = new URL("../../lib/web/clients/", import.meta.url).pathname;
const MYPY = "/usr/bin/mypy";

Deno.test({
  name: "client.py passes its unit tests",
  ignore: isWebsocketsMissing(),
  async fn() {
    await using path = await PythonPath.make();
    const tests = [DEBIAN_PYTHON, "-W", "error", "-m", "unittest", "client_unit"] as const;
    assert.match(await succeed(tests, { cwd: HERE, env: path.env }), /Ran \d\d tests/);
  },
});

Deno.test({
  name: "client.py negotiates with aiortc",
  ignore: isAiortcMissing(),
  async fn() {
    await using path = await PythonPath.make();
    const tests = [DEBIAN_PYTHON, "-m", "unittest", "peers_unit"] as const;
    const printed = await succeed(tests, { cwd: HERE, env: path.env });
    assert.doesNotMatch(printed, /^Traceback/m);
  },
});

Deno.test({
  name: "client.py satisfies mypy --strict",
  ignore: isMissing(isFile(MYPY), "mypy (Debian: mypy)") || isWebsocketsMissing(),
  async fn() {
    const cache = await Deno.makeTempDir({ prefix: "signalbox-mypy-" });
    const options = ["--strict", "--config-file", "pyproject.toml", "--cache-dir", cache];
    await succeed([MYPY, ...options, "client.py"], { cwd: CLIENTS });
    await Deno.remove(cache, { recursive: true });
  },
});

Deno.test("client.py and its tests satisfy ruff", async () => {
  const workspace = new Workspace({ "target-version": "py39" }, PositionEncoding.Utf16);
  const tests = [...Deno.readDirSync(HERE)].filter(({ name }) => name.endsWith(".py"));
  for (const path of [`${CLIENTS}client.py`, ...tests.map(({ name }) => `${HERE}${name}`)]) {
    const text = await Deno.readTextFile(path);
    assert.deepEqual(workspace.check(text), [], path);
    assert.equal(workspace.format(text), text, path);
  }
});

Deno.test({
  name: "pip installs the folder as a typed package called signalbox",
  ignore: isMissing(
    succeeds(DEBIAN_PYTHON, "-c", "import hatchling, pip, websockets"),
    "pip and hatchling (Debian: python3-pip python3-hatchling)",
  ),
  async fn() {
    const target = await Deno.makeTempDir({ prefix: "signalbox-pip-" });
    const offline = ["--no-index", "--no-build-isolation", "--no-deps", "--quiet"];
    const source = `${target}/source`;
    await succeed(["cp", "-r", CLIENTS, source]); // pip may write beside the sources
    await succeed([DEBIAN_PYTHON, "-m", "pip", "install", ...offline, "--target", target, source]);
    const script = "import signalbox; print(signalbox.__file__, signalbox.__version__)";
    const env = { PYTHONPATH: target };
    const printed = await succeed([DEBIAN_PYTHON, "-c", script], { env, cwd: target });
    const config = JSON.parse(await Deno.readTextFile(`${HERE}../../deno.json`));
    assert.equal(printed.trim(), `${target}/signalbox/__init__.py ${config.version}`);
    assert.ok(isFile(`${target}/signalbox/py.typed`));
    await Deno.remove(target, { recursive: true });
  },
});
