import assert from "node:assert/strict";
import { test } from "node:test";
import { BadPathError, findServer, installCommand, type Machine, type Places } from "../src/serverDiscovery";

const NOWHERE: Places = { setting: "", python: undefined, trustedFolders: [] };

function machine(files: string[], env: Record<string, string> = {}): Machine {
  return {
    platform: "linux", home: "/home/u", env: { PATH: "/usr/bin:relative:/opt/bin", ...env }, ownFolder: "/own/server",
    isFile: (path) => files.includes(path),
  };
}

test("each place comes before the next", () => {
  const places: Places = { setting: "", python: "/env/bin/python3", trustedFolders: ["/project"] };
  const order = ["/env/bin/midfill", "/project/.venv/bin/midfill", "/project/venv/bin/midfill", "/usr/bin/midfill", "/opt/bin/midfill", "/home/u/.local/bin/midfill", "/own/server/bin/midfill"];
  for (let n = 0; n < order.length; n++) {
    assert.equal(findServer(places, machine(order.slice(n)))?.command, order[n]);
  }
  assert.equal(findServer(places, machine([])), undefined);
});

test("the setting decides, and a bad one is an error instead of another server", () => {
  const found = machine(["/usr/bin/midfill", "/home/u/m/midfill"]);
  assert.deepEqual(findServer({ ...NOWHERE, setting: "~/m/midfill" }, found), { command: "/home/u/m/midfill", origin: "setting" });
  assert.throws(() => findServer({ ...NOWHERE, setting: "/gone/midfill" }, found), BadPathError);
  assert.throws(() => findServer({ ...NOWHERE, setting: "bin/midfill" }, machine(["bin/midfill"])), BadPathError);
});

test("nothing is looked for below a relative folder of the PATH", () => {
  assert.equal(findServer(NOWHERE, machine(["relative/midfill"])), undefined);
});

test("uv and pipx may put programs elsewhere", () => {
  const moved = machine(["/tools/midfill"], { UV_TOOL_BIN_DIR: "/tools" });
  assert.deepEqual(findServer(NOWHERE, moved), { command: "/tools/midfill", origin: "uv" });
});

test("on Windows the command and its folder have other names", () => {
  const asked: string[] = [];
  const windows: Machine = { ...machine([]), platform: "win32", isFile: (path) => (asked.push(path), false) };
  findServer({ ...NOWHERE, trustedFolders: ["/project"] }, windows);
  assert.ok(asked.every((path) => path.endsWith("midfill.exe")));
  assert.ok(asked.some((path) => path.includes("Scripts")));
});

test("the installation is done by what there is: uv, pipx, or Python", () => {
  const files = ["/usr/bin/uv", "/usr/bin/pipx", "/usr/bin/python3"];
  assert.equal(installCommand(undefined, machine(files)), "uv tool install --upgrade 'midfill[local]'");
  assert.equal(installCommand(undefined, machine(files.slice(1))), "pipx install 'midfill[local]'");
  assert.equal(
    installCommand(undefined, machine(files.slice(2))),
    "/usr/bin/python3 -m venv /own/server && /own/server/bin/pip install --upgrade 'midfill[local]'",
  );
  assert.equal(installCommand(undefined, machine([])), undefined);
});

test("a server in an environment is brought up to date there", () => {
  const line = installCommand({ command: "/my env/bin/midfill", origin: "workspace" }, machine(["/usr/bin/uv"]));
  assert.equal(line, "'/my env/bin/python' -m pip install --upgrade 'midfill[local]'");
});
