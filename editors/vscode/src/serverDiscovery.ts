import * as path from "node:path";

export type Origin = "setting" | "python" | "workspace" | "path" | "uv" | "pipx" | "extension";

/** A server that was found. */
export interface Launch {
  readonly command: string;
  readonly origin: Origin;
}

/** What discovery needs to know of the machine. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder into which the extension installs a server; it need not exist. */
  readonly ownFolder: string;
  isFile(path: string): boolean;
}

/** Where to look. */
export interface Places {
  /** The setting `midfill.server.path`; "" for none. */
  readonly setting: string;
  /** The selected Python interpreter. */
  readonly python: string | undefined;
  /** Folders of the workspace; empty unless the workspace is trusted. */
  readonly trustedFolders: readonly string[];
}

/** The path that was set leads to no file. */
export class BadPathError extends Error {}

/**
 * The first server there is: set, beside the Python interpreter, in the workspace's virtual
 * environment, on the PATH, or where uv, pipx or this extension put it.
 *
 * @throws BadPathError the setting names a file that is not there.
 */
export function findServer(places: Places, machine: Machine): Launch | undefined {
  if (places.setting) {
    const command = expandHome(places.setting, machine.home);
    if (!path.isAbsolute(command) || !machine.isFile(command)) {
      throw new BadPathError(command);
    }
    return { command, origin: "setting" };
  }
  return candidates(places, machine).find((candidate) => machine.isFile(candidate.command));
}

function candidates(places: Places, machine: Machine): Launch[] {
  const name = machine.platform === "win32" ? "midfill.exe" : "midfill";
  const bin = machine.platform === "win32" ? "Scripts" : "bin";
  const found: Launch[] = [];
  if (places.python && path.isAbsolute(places.python)) {
    found.push({ command: path.join(path.dirname(places.python), name), origin: "python" });
  }
  for (const folder of places.trustedFolders) {
    for (const environment of [".venv", "venv"]) {
      found.push({ command: path.join(folder, environment, bin, name), origin: "workspace" });
    }
  }
  for (const folder of pathFolders(machine)) {
    found.push({ command: path.join(folder, name), origin: "path" });
  }
  // An editor that is started from the desktop does not see the shell's PATH.
  found.push({ command: path.join(machine.env["UV_TOOL_BIN_DIR"] || path.join(machine.home, ".local", "bin"), name), origin: "uv" });
  found.push({ command: path.join(machine.env["PIPX_BIN_DIR"] || path.join(machine.home, ".local", "bin"), name), origin: "pipx" });
  found.push({ command: path.join(machine.ownFolder, bin, name), origin: "extension" });
  return found;
}

/** Absolute folders of the PATH; a relative one would lead into whatever folder is current. */
function pathFolders(machine: Machine): string[] {
  const value = machine.env["PATH"] ?? machine.env["Path"] ?? "";
  return value.split(machine.platform === "win32" ? ";" : ":").filter((folder) => path.isAbsolute(folder));
}

/** A program on the PATH; undefined if there is none. */
export function findProgram(name: string, machine: Machine): string | undefined {
  const file = machine.platform === "win32" ? `${name}.exe` : name;
  const folders = [...pathFolders(machine), path.join(machine.home, ".local", "bin")];
  return folders.map((folder) => path.join(folder, file)).find((each) => machine.isFile(each));
}

function expandHome(value: string, home: string): string {
  return value === "~" || value.startsWith("~/") ? path.join(home, value.slice(1)) : value;
}

const PACKAGE = "midfill[local]";

/**
 * The command line that installs a server, or brings the one there is up to date.
 *
 * @param found the server there is; undefined if there is none.
 * @returns a line for the user's shell; undefined where no program that could do it was found.
 */
export function installCommand(found: Launch | undefined, machine: Machine): string | undefined {
  const quote = machine.platform === "win32" ? '"' : "'";
  const wanted = `${quote}${PACKAGE}${quote}`;
  if (found && ["python", "workspace", "extension"].includes(found.origin)) {
    const python = path.join(path.dirname(found.command), machine.platform === "win32" ? "python.exe" : "python");
    return `${quoted(python, quote)} -m pip install --upgrade ${wanted}`;
  }
  if (findProgram("uv", machine)) {
    return `uv tool install --upgrade ${wanted}`;
  }
  if (findProgram("pipx", machine)) {
    return found ? `pipx upgrade midfill` : `pipx install ${wanted}`;
  }
  const python = findProgram("python3", machine) ?? findProgram("python", machine);
  if (!python) {
    return undefined;
  }
  const folder = quoted(machine.ownFolder, quote);
  const pip = quoted(path.join(machine.ownFolder, machine.platform === "win32" ? "Scripts" : "bin", "pip"), quote);
  return `${quoted(python, quote)} -m venv ${folder} && ${pip} install --upgrade ${wanted}`;
}

function quoted(text: string, quote: string): string {
  return /^[\w./\\:~-]+$/.test(text) ? text : `${quote}${text}${quote}`;
}
