import * as vscode from "vscode";
import { MARK } from "./explainPage";
import { runInTerminal } from "./install";
import { Method, ServerCommand, type Why } from "./protocol";
import { ACCEPTED } from "./provider";
import { openSettings, type Session } from "./session";
import { isLanguageEnabled, setLanguageEnabled } from "./settings";
import { details, prospect, summarise } from "./status";

const WALKTHROUGH = "midfill.midfill#start";
const EXAMPLE = "def mean(numbers: list[float]) -> float:\n    ";

/** Register every command of the extension. */
export function registerCommands(session: Session): vscode.Disposable {
  const commands: Record<string, (...args: never[]) => unknown> = {
    "midfill.showMenu": () => showMenu(session),
    "midfill.triggerSuggestion": () => vscode.commands.executeCommand("editor.action.inlineSuggest.trigger"),
    "midfill.nextAlternative": () => session.provider.cycle(1),
    "midfill.previousAlternative": () => session.provider.cycle(-1),
    "midfill.acceptWord": () => take(session, "acceptNextWord"),
    "midfill.acceptLine": () => take(session, "acceptNextLine"),
    "midfill.dismiss": () => dismiss(session),
    "midfill.whyNoSuggestion": () => why(session),
    "midfill.explainContext": () => explain(session),
    "midfill.showStatistics": () => statistics(session),
    "midfill.snooze": () => snooze(session),
    "midfill.endSnooze": () => session.snooze.stop(),
    "midfill.toggleLanguage": () => toggleLanguage(session),
    "midfill.pauseEngine": () => setPaused(session, true),
    "midfill.resumeEngine": () => setPaused(session, false),
    "midfill.installServer": () => session.installServer(),
    "midfill.fetchModel": () => session.fetchModel(),
    "midfill.fetchLargerModel": () => session.fetchLarger(),
    "midfill.runDoctor": () => doctor(session),
    "midfill.restartServer": () => session.restart(),
    "midfill.showLog": () => session.log.show(),
    "midfill.openSettings": () => openSettings(),
    "midfill.openWalkthrough": () => openWalkthrough(),
    "midfill.openExample": () => openExample(),
    [ACCEPTED]: (id: string) => session.accepted(id),
    [MARK]: (mark: string, uri: string) => session.explainView.mark(mark, uri),
  };
  const registered = Object.entries(commands).map(([id, run]) =>
    vscode.commands.registerCommand(id, async (...args: never[]) => {
      try {
        return await run(...args);
      } catch (error) {
        session.log.error(`${id}: ${error}`);
        return vscode.window.showErrorMessage(`midfill: ${error instanceof Error ? error.message : error}`);
      }
    }),
  );
  return vscode.Disposable.from(...registered);
}

/** Open the walkthrough of the first steps. */
export function openWalkthrough(): Thenable<unknown> {
  return vscode.commands.executeCommand("workbench.action.openWalkthrough", WALKTHROUGH, false);
}

async function take(session: Session, command: "acceptNextWord" | "acceptNextLine"): Promise<void> {
  await session.tracking.taking(() => vscode.commands.executeCommand(`editor.action.inlineSuggest.${command}`));
}

async function dismiss(session: Session): Promise<void> {
  session.tracking.dismissed();
  session.provider.clear();
  await vscode.commands.executeCommand("editor.action.inlineSuggest.hide");
}

async function why(session: Session): Promise<void> {
  const { state, headline } = { state: session.situation().state, ...summarise(session.situation()) };
  const document = vscode.window.activeTextEditor?.document;
  if (state !== "running" || session.snooze.isOn || (document && !isLanguageEnabled(document.languageId))) {
    await vscode.window.showInformationMessage(`midfill: ${headline}.`);
    return;
  }
  if (!session.requireProtocol()) {
    return;
  }
  const textDocument = document && { uri: document.uri.toString() };
  const answer = await session.server.request<Why>(Method.why, textDocument ? { textDocument } : {});
  const action = "Explain";
  const text = [answer.text, answer.hint].filter(Boolean).join(" ");
  const code = answer.reason ? ` (${answer.reason})` : "";
  if ((await vscode.window.showInformationMessage(`midfill: ${text}${code}`, action)) === action) {
    await explain(session);
  }
}

async function explain(session: Session): Promise<void> {
  const document = vscode.window.activeTextEditor?.document;
  if (!document) {
    void vscode.window.showInformationMessage("midfill: open a file first.");
  } else if (session.server.isRunning) {
    await session.explainView.show(document);
  } else {
    session.requireProtocol();
  }
}

async function statistics(session: Session): Promise<void> {
  if (session.requireProtocol()) {
    await session.statsView.show();
  }
}

async function snooze(session: Session): Promise<void> {
  const choices = [
    { label: "5 minutes", minutes: 5 },
    { label: "15 minutes", minutes: 15 },
    { label: "1 hour", minutes: 60 },
    { label: "Until the window is closed", minutes: Infinity },
  ];
  const picked = await vscode.window.showQuickPick(choices, { title: "No suggestions for" });
  if (picked) {
    session.snooze.start(picked.minutes);
    session.tracking.gone();
    session.provider.clear();
    await vscode.commands.executeCommand("editor.action.inlineSuggest.hide");
  }
}

async function toggleLanguage(session: Session): Promise<void> {
  const languageId = vscode.window.activeTextEditor?.document.languageId;
  if (languageId) {
    await setLanguageEnabled(languageId, !isLanguageEnabled(languageId));
    session.changed();
  }
}

async function setPaused(session: Session, paused: boolean): Promise<void> {
  if (session.requireProtocol()) {
    await session.server.execute(paused ? ServerCommand.pause : ServerCommand.resume);
    session.refreshStatus();
  }
}

function doctor(session: Session): void {
  if (session.server.launch) {
    runInTerminal(session.server.launch, "midfill doctor", "doctor");
  } else {
    void session.installServer();
  }
}

async function openExample(): Promise<void> {
  const document = await vscode.workspace.openTextDocument({ language: "python", content: EXAMPLE });
  const editor = await vscode.window.showTextDocument(document);
  const end = document.positionAt(EXAMPLE.length);
  editor.selection = new vscode.Selection(end, end);
  await vscode.commands.executeCommand("editor.action.inlineSuggest.trigger");
}

interface MenuItem extends vscode.QuickPickItem {
  readonly run?: string;
}

async function showMenu(session: Session): Promise<void> {
  const now = session.situation();
  const paused = now.status?.paused ?? false;
  const larger = now.status?.larger;
  const needsServer = now.state === "missing" || now.state === "broken";
  const items: (MenuItem | false)[] = [
    needsServer && { label: "$(cloud-download) Install or update the server", run: "midfill.installServer" },
    { label: "$(question) Why is there no suggestion?", run: "midfill.whyNoSuggestion" },
    { label: "$(list-tree) Explain the last suggestion", run: "midfill.explainContext" },
    { label: "$(graph) Statistics", run: "midfill.showStatistics" },
    { label: "", kind: vscode.QuickPickItemKind.Separator },
    now.isSnoozed
      ? { label: "$(bell) End the snooze", run: "midfill.endSnooze" }
      : { label: "$(bell-slash) Snooze", run: "midfill.snooze" },
    now.languageId !== undefined && {
      label: `$(circle-slash) Switch ${now.isLanguageEnabled ? "off" : "on"} for ${now.languageId}`, run: "midfill.toggleLanguage" },
    paused
      ? { label: "$(debug-start) Resume in all editors", run: "midfill.resumeEngine" }
      : { label: "$(debug-pause) Pause in all editors", run: "midfill.pauseEngine" },
    { label: "", kind: vscode.QuickPickItemKind.Separator },
    !!larger && { label: `$(rocket) Fetch ${larger.id}`, description: prospect(larger), run: "midfill.fetchLargerModel" },
    { label: "$(cloud-download) Fetch a model", run: "midfill.fetchModel" },
    { label: "$(pulse) Run the doctor", run: "midfill.runDoctor" },
    { label: "$(refresh) Restart the server", run: "midfill.restartServer" },
    { label: "$(output) Show the log", run: "midfill.showLog" },
    { label: "$(gear) Settings", run: "midfill.openSettings" },
  ];
  const title = ["midfill", summarise(now).headline, ...details(now)].join(" · ");
  const picked = await vscode.window.showQuickPick(items.filter((item): item is MenuItem => item !== false), { title });
  if (picked?.run) {
    await vscode.commands.executeCommand(picked.run);
  }
}
