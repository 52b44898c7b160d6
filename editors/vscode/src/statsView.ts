import * as vscode from "vscode";
import { confined } from "./html";
import { Method } from "./protocol";
import type { Server } from "./server";

// The page's own colours by name; in the editor they are those of its theme.
const THEME = `
:root { --ink: var(--vscode-editor-foreground) !important; --paper: var(--vscode-editor-background) !important;
  --soft: var(--vscode-descriptionForeground) !important; --line: var(--vscode-panel-border) !important;
  --card: var(--vscode-editorWidget-background) !important; --main: var(--vscode-charts-blue) !important; }
body { font-family: var(--vscode-font-family); }`;

/** The server's page of figures, in a tab. */
export class StatsView {
  private panel: vscode.WebviewPanel | undefined;

  constructor(private readonly server: Server) {}

  /** @throws the server's error. */
  async show(): Promise<void> {
    const { html } = await this.server.request<{ html: string }>(Method.stats, { format: "html" });
    if (!this.panel) {
      this.panel = vscode.window.createWebviewPanel("midfill.statistics", "midfill: Statistics", vscode.ViewColumn.Active, { enableScripts: false });
      this.panel.onDidDispose(() => (this.panel = undefined));
    }
    this.panel.webview.html = confined(html, THEME);
    this.panel.reveal();
  }
}
