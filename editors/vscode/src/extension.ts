import * as vscode from "vscode";
import { isOurs } from "./attention";
import { openWalkthrough, registerCommands } from "./commands";
import { Method } from "./protocol";
import { offsetOf } from "./provider";
import { onInterpreterChanged } from "./python";
import { Session } from "./session";
import { serverOptions } from "./settings";

const WAS_STARTED = "wasStarted";
let session: Session | undefined;

/** Called by the editor when it has started. */
export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = vscode.window.createOutputChannel("midfill", { log: true });
  const now = (session = new Session(context, log));
  context.subscriptions.push(
    log,
    now,
    registerCommands(now),
    ...follow(now),
    vscode.workspace.onDidChangeConfiguration((event) => configured(context, now, event)),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void trusted(context, now)),
  );
  void now.connect();
  context.subscriptions.push(await onInterpreterChanged(() => void now.reconsider()));
  await welcome(context);
}

/** Called by the editor before it ends. */
export async function deactivate(): Promise<void> {
  await session?.server.stop();
}

/** Tell the tracking what happens in the editor. */
function follow({ tracking }: Session): vscode.Disposable[] {
  return [
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (isOurs(document)) {
        const edits = contentChanges.map((change) => ({
          offset: change.rangeOffset - (document.eol === vscode.EndOfLine.CRLF ? change.range.start.line : 0),
          removed: change.rangeLength,
          text: change.text.replaceAll("\r\n", "\n"),
        }));
        tracking.edited(document.uri.toString(), edits);
      }
    }),
    vscode.window.onDidChangeTextEditorSelection(({ textEditor, selections }) => {
      if (textEditor === vscode.window.activeTextEditor && selections[0]) {
        const { document } = textEditor;
        tracking.moved(document.uri.toString(), offsetOf(document, selections[0].active));
      }
    }),
    vscode.window.onDidChangeActiveTextEditor(() => {
      tracking.gone();
      session?.changed();
    }),
  ];
}

function configured(context: vscode.ExtensionContext, now: Session, event: vscode.ConfigurationChangeEvent): void {
  if (!event.affectsConfiguration("midfill")) {
    return;
  }
  if (event.affectsConfiguration("midfill.server.path")) {
    void now.connect();
  } else {
    now.server.notify(Method.didChangeConfiguration, { settings: { midfill: serverOptions(context) } });
    now.changed();
  }
}

/** The workspace may be used now: a server that lies in it, and its settings. */
async function trusted(context: vscode.ExtensionContext, now: Session): Promise<void> {
  await now.reconsider();
  now.server.notify(Method.didChangeConfiguration, { settings: { midfill: serverOptions(context) } });
  now.changed();
}

/** The first steps, when the extension is used for the first time. */
async function welcome(context: vscode.ExtensionContext): Promise<void> {
  const wanted = vscode.workspace.getConfiguration("workbench.welcomePage.walkthroughs").get("openOnInstall", true);
  if (!context.globalState.get(WAS_STARTED)) {
    await context.globalState.update(WAS_STARTED, true);
    if (wanted) {
      await openWalkthrough();
    }
  }
}
