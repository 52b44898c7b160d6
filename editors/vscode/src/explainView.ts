import * as path from "node:path";
import * as vscode from "vscode";
import { explainPage, MARK, type Source } from "./explainPage";
import { confined } from "./html";
import { Method, type Explanation, type Marks } from "./protocol";
import type { Server } from "./server";

const STYLE = `
body { font-family: var(--vscode-font-family); color: var(--vscode-editor-foreground); max-width: 60rem; padding: 0 1.5rem 3rem; line-height: 1.5; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
pre { font-family: var(--vscode-editor-font-family); background: var(--vscode-textCodeBlock-background); padding: .6rem .8rem; overflow-x: auto; border-radius: 4px; }
pre.answer { border-left: 3px solid var(--vscode-charts-blue); }
.soft { color: var(--vscode-descriptionForeground); }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: .5rem; }
.figure { background: var(--vscode-editorWidget-background); border-radius: 4px; padding: .5rem .7rem; }
.figure b { display: block; font-size: 1.2rem; } .figure span { color: var(--vscode-descriptionForeground); font-size: .85rem; }
summary { cursor: pointer; padding: .3rem 0; } .links { float: right; } .links a { margin-left: .7rem; color: var(--vscode-textLink-foreground); }
.reason { color: var(--vscode-editorWarning-foreground); }`;

/** How the last request in a document was answered, in a tab beside it. */
export class ExplainView {
  private panel: vscode.WebviewPanel | undefined;
  private document: vscode.TextDocument | undefined;

  constructor(private readonly server: Server) {}

  /** @throws the server's error. */
  async show(document: vscode.TextDocument): Promise<void> {
    this.document = document;
    const textDocument = { uri: document.uri.toString() };
    const explanation = await this.server.request<Explanation | null>(Method.explain, { textDocument });
    const marks = await this.marks();
    if (!this.panel) {
      this.panel = vscode.window.createWebviewPanel(
        "midfill.explain", "midfill: The Last Suggestion",
        { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
        { enableScripts: false, enableCommandUris: [MARK] });
      this.panel.onDidDispose(() => (this.panel = undefined));
    }
    this.panel.webview.html = confined(explainPage(explanation, marks, (file) => sourceOf(document, file)), STYLE);
    this.panel.reveal(undefined, true);
  }

  /** Pin or ban a file, or take that back, and show the page anew. */
  async mark(mark: string, uri: string): Promise<void> {
    if (!["pin", "unpin", "ban", "unban"].includes(mark)) {
      return;
    }
    await this.server.execute(`midfill.${mark}`, uri);
    if (this.document) {
      await this.show(this.document);
    }
  }

  /** What is pinned and banned, with the URIs spelled as this editor does. */
  private async marks(): Promise<Marks> {
    if (this.server.protocol === 0) {
      return { pinned: [], banned: [] };
    }
    const { pinned, banned } = await this.server.request<Marks>(Method.marks, {});
    const spelled = (uris: readonly string[]): string[] => uris.map((uri) => vscode.Uri.parse(uri).toString());
    return { pinned: spelled(pinned), banned: spelled(banned) };
  }
}

/** The file of a snippet: a URI, a path, or a path relative to the folder that the document is in. */
function sourceOf(document: vscode.TextDocument, file: string): Source {
  const uri = uriOf(document, file);
  if (!uri) {
    return { name: file, uri: undefined };
  }
  const isOwn = uri.toString() === document.uri.toString();
  return { name: vscode.workspace.asRelativePath(uri, false), uri: isOwn ? undefined : uri.toString() };
}

function uriOf(document: vscode.TextDocument, file: string): vscode.Uri | undefined {
  if (/^[a-z][a-z\d+.-]+:/i.test(file)) {
    return vscode.Uri.parse(file);
  }
  if (path.isAbsolute(file)) {
    return vscode.Uri.file(file);
  }
  const folder = vscode.workspace.getWorkspaceFolder(document.uri);
  return folder && file ? vscode.Uri.joinPath(folder.uri, file) : undefined;
}
