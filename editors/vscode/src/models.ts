import { execFile, spawn } from "node:child_process";
import * as os from "node:os";
import { promisify } from "node:util";
import * as vscode from "vscode";
import { JsonLines } from "./jsonLines";
import type { Launch } from "./serverDiscovery";

const LIST_TIMEOUT_MS = 20_000;
const MIB = 1024 * 1024;

/** A model as `midfill model list --json` tells of it; other fields are not read. */
interface ListedModel {
  readonly id: string;
  readonly title: string;
  readonly size_bytes: number;
  readonly licence: string;
  readonly fetched: boolean;
  readonly default_here: boolean;
}

type Outcome = { readonly kind: "done" } | { readonly kind: "cancelled" } | { readonly kind: "failed"; readonly text: string };

/** Let the user choose a model, and fetch it. */
export async function chooseAndFetch(launch: Launch, log: vscode.LogOutputChannel): Promise<boolean> {
  const models = await listModels(launch, log);
  if (models.length === 0) {
    return false;
  }
  const picked = await vscode.window.showQuickPick(models.map(toPick), {
    title: "Fetch a model",
    placeHolder: "Larger models suggest better and need more memory and time",
  });
  return picked ? fetchModel(launch, picked.id, log) : false;
}

/**
 * Fetch a model, showing how far it is; what was fetched is kept when it is cancelled.
 *
 * @param id undefined is the default for this machine.
 * @returns whether it is there now.
 */
export async function fetchModel(launch: Launch, id: string | undefined, log: vscode.LogOutputChannel): Promise<boolean> {
  const options = { location: vscode.ProgressLocation.Notification, title: `midfill: fetching ${id ?? "the default model"}`, cancellable: true };
  const outcome = await vscode.window.withProgress(options, (progress, token) => runFetch(launch, id, log, progress, token));
  if (outcome.kind === "failed") {
    const again = "Try Again";
    const chosen = await vscode.window.showErrorMessage(`midfill: ${outcome.text}`, again);
    return chosen === again ? fetchModel(launch, id, log) : false;
  }
  if (outcome.kind === "cancelled") {
    void vscode.window.showInformationMessage("midfill: the download was stopped. What is there is kept, and the next try goes on from it.");
    return false;
  }
  void vscode.window.showInformationMessage("midfill: the model is there. Write the head of a function and wait.");
  return true;
}

function runFetch(
  launch: Launch,
  id: string | undefined,
  log: vscode.LogOutputChannel,
  progress: vscode.Progress<{ message?: string; increment?: number }>,
  token: vscode.CancellationToken,
): Promise<Outcome> {
  return new Promise((resolve) => {
    let outcome: Outcome = { kind: "failed", text: "The download ended without a word. The log may say why." };
    let percent = 0;
    const lines = new JsonLines((event) => {
      if (event["event"] === "progress") {
        const total = Number(event["n_total"]) || 0;
        const there = Number(event["n_bytes"]) || 0;
        const now = total ? (100 * there) / total : percent;
        progress.report({ message: `${mib(there)} of ${mib(total)}`, increment: now - percent });
        percent = now;
      } else if (event["event"] === "done") {
        outcome = { kind: "done" };
      } else if (event["event"] === "error") {
        outcome = { kind: "failed", text: [event["message"], event["hint"]].filter(Boolean).join(" ") };
      }
    });
    const child = spawn(launch.command, ["model", "fetch", ...(id ? [id] : []), "--json"], { cwd: os.homedir() });
    token.onCancellationRequested(() => {
      outcome = { kind: "cancelled" };
      child.kill("SIGTERM");
    });
    child.stdout.setEncoding("utf8").on("data", (text: string) => lines.push(text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => log.info(text.trimEnd()));
    child.on("error", (error) => resolve({ kind: "failed", text: String(error) }));
    child.on("close", () => {
      lines.end();
      resolve(token.isCancellationRequested ? { kind: "cancelled" } : outcome);
    });
  });
}

async function listModels(launch: Launch, log: vscode.LogOutputChannel): Promise<ListedModel[]> {
  try {
    const { stdout } = await promisify(execFile)(launch.command, ["model", "list", "--json"], { cwd: os.homedir(), timeout: LIST_TIMEOUT_MS });
    return JSON.parse(stdout) as ListedModel[];
  } catch (error) {
    log.error(`the models cannot be listed: ${error}`);
    void vscode.window.showErrorMessage("midfill: the models cannot be listed; the log says why.");
    return [];
  }
}

function toPick(model: ListedModel): vscode.QuickPickItem & { id: string } {
  const notes = [mib(model.size_bytes), model.fetched && "fetched", model.default_here && "default on this machine"];
  return { id: model.id, label: model.id, description: notes.filter(Boolean).join(" · "), detail: `${model.title} · ${model.licence}` };
}

function mib(bytes: number): string {
  return bytes >= 1024 * MIB ? `${(bytes / (1024 * MIB)).toFixed(1)} GiB` : `${Math.round(bytes / MIB)} MiB`;
}
