import * as vscode from "vscode";
import { installCommand, type Launch, type Machine } from "./serverDiscovery";

const GUIDE = "midfill.openWalkthrough";

/**
 * Show the command that installs or updates the server, and run it in a terminal if the user agrees.
 *
 * @returns whether it was run and succeeded.
 */
export async function install(found: Launch | undefined, machine: Machine): Promise<boolean> {
  const line = installCommand(found, machine);
  if (!line) {
    const guide = "How to Install";
    const text = "midfill needs Python 3.11 or newer, and neither Python nor uv was found. Install one of them, then restart the server.";
    if ((await vscode.window.showErrorMessage(text, guide)) === guide) {
      await vscode.commands.executeCommand(GUIDE);
    }
    return false;
  }
  const run = "Run in Terminal";
  const copy = "Copy";
  const detail = `${line}\n\nIt downloads midfill and what it needs from your Python package index and compiles llama.cpp, which takes some minutes and a C++ compiler.`;
  const chosen = await vscode.window.showInformationMessage(
    found ? "Update the midfill server?" : "Install the midfill server?", { modal: true, detail }, run, copy);
  if (chosen === copy) {
    await vscode.env.clipboard.writeText(line);
  }
  return chosen === run && (await runUntilDone(line));
}

/** Run a line until it succeeds, or the user has enough. */
async function runUntilDone(line: string): Promise<boolean> {
  const again = "Try Again";
  while ((await runTask(line)) !== 0) {
    const text = "midfill: the server was not installed. The terminal says why.";
    if ((await vscode.window.showErrorMessage(text, again)) !== again) {
      return false;
    }
  }
  return true;
}

/** Run a line in a terminal that stays open; gives its exit code. */
async function runTask(line: string): Promise<number | undefined> {
  const task = new vscode.Task(
    { type: "midfill" }, vscode.TaskScope.Global, "install", "midfill", new vscode.ShellExecution(line));
  task.presentationOptions = { reveal: vscode.TaskRevealKind.Always, clear: true };
  const execution = await vscode.tasks.executeTask(task);
  return new Promise((resolve) => {
    const subscription = vscode.tasks.onDidEndTaskProcess((event) => {
      if (event.execution === execution) {
        subscription.dispose();
        resolve(event.exitCode);
      }
    });
  });
}

/** Run a command of midfill in a terminal, where the user reads what it prints. */
export function runInTerminal(launch: Launch, name: string, ...args: string[]): void {
  const terminal = vscode.window.createTerminal({ name, shellPath: launch.command, shellArgs: args, isTransient: true });
  terminal.show();
}
