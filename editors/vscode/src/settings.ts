import * as vscode from "vscode";
import { nested } from "./options";

const SERVER_SECTIONS = ["model", "engine", "completion", "context", "acceptanceLog"];

/** The names of the settings that the server reads, from the extension's manifest. */
function serverSettings(manifest: { contributes?: { configuration?: { properties?: object } } }): string[] {
  return Object.keys(manifest.contributes?.configuration?.properties ?? {})
    .map((name) => name.replace(/^midfill\./, ""))
    .filter((name) => SERVER_SECTIONS.includes(name.split(".")[0] ?? ""));
}

/**
 * The options for the server: only what the user has set in the editor, so that the rest is
 * decided by the user's own settings file, which other editors share.
 */
export function serverOptions(context: vscode.ExtensionContext): Record<string, unknown> {
  const configuration = vscode.workspace.getConfiguration("midfill");
  const explicit: Record<string, unknown> = {};
  for (const name of serverSettings(context.extension.packageJSON)) {
    const found = configuration.inspect(name);
    const isSet = [found?.globalValue, found?.workspaceValue, found?.workspaceFolderValue].some(
      (value) => value !== undefined,
    );
    if (isSet) {
      // Not the inspected value: this one heeds what an untrusted workspace may not set.
      explicit[name] = configuration.get(name);
    }
  }
  return nested(explicit);
}

/** The path the user has set for the server; "" for none. */
export function serverPath(): string {
  return vscode.workspace.getConfiguration("midfill").get<string>("server.path", "").trim();
}

/** Whether suggestions are made in a document, by the setting `midfill.enable`. */
export function isLanguageEnabled(languageId: string): boolean {
  const switches = vscode.workspace.getConfiguration("midfill").get<Record<string, boolean>>("enable", {});
  return switches[languageId] ?? switches["*"] ?? true;
}

/** Switch suggestions on or off for a language, in the user's settings. */
export async function setLanguageEnabled(languageId: string, enabled: boolean): Promise<void> {
  const configuration = vscode.workspace.getConfiguration("midfill");
  const own = configuration.inspect<Record<string, boolean>>("enable")?.globalValue ?? {};
  await configuration.update("enable", { ...own, [languageId]: enabled }, vscode.ConfigurationTarget.Global);
}
