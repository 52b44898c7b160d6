import * as vscode from "vscode";
import { Method } from "./protocol";
import { DOCUMENTS, type Server } from "./server";

// The cursor rests when it has not moved for so long.
const REST_MS = 120;

/** Tells the server which document is looked at, and where the cursor rests in it. */
export class Attention implements vscode.Disposable {
  private readonly subscriptions: vscode.Disposable[];
  private timer: NodeJS.Timeout | undefined;
  private edited: vscode.TextDocument | undefined;

  constructor(private readonly server: Server) {
    this.subscriptions = [
      vscode.window.onDidChangeActiveTextEditor(() => this.focused()),
      vscode.window.onDidChangeWindowState((state) => state.focused && this.focused()),
      vscode.workspace.onDidChangeTextDocument(({ document }) => (this.edited = document)),
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => this.moved(textEditor)),
    ];
  }

  /** Say what is looked at. */
  focused(): void {
    const editor = vscode.window.activeTextEditor;
    if (editor && isOurs(editor.document)) {
      this.server.notify(Method.didFocus, { textDocument: { uri: editor.document.uri.toString() } });
      this.moved(editor);
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.subscriptions.forEach((each) => each.dispose());
  }

  private moved(editor: vscode.TextEditor): void {
    clearTimeout(this.timer);
    if (editor !== vscode.window.activeTextEditor || !isOurs(editor.document)) {
      return;
    }
    const { document } = editor;
    const version = document.version;
    const wasTyped = this.edited === document;
    this.edited = undefined;
    if (wasTyped) {
      return; // the server knows from the edit where the cursor is
    }
    this.timer = setTimeout(() => {
      if (document.version === version && !document.isClosed) {
        this.server.notify(Method.didMoveCursor, this.server.paramsOf(document, editor.selection.active));
      }
    }, REST_MS);
  }
}

/** Whether a document is one that suggestions are made in. */
export function isOurs(document: vscode.TextDocument): boolean {
  return vscode.languages.match(DOCUMENTS, document) > 0;
}
