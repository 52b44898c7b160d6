import { statSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as vscode from "vscode";
import { Attention, isOurs } from "./attention";
import { ExplainView } from "./explainView";
import { install } from "./install";
import { Messages } from "./messages";
import { chooseAndFetch, fetchModel } from "./models";
import { Method, ServerCommand, type ServerStatus, type StatusNotice } from "./protocol";
import { SuggestionProvider } from "./provider";
import { selectedInterpreter } from "./python";
import { Server, type State } from "./server";
import { BadPathError, findServer, type Launch, type Machine } from "./serverDiscovery";
import { isLanguageEnabled, serverOptions, serverPath } from "./settings";
import { ShownTracking } from "./shownTracking";
import { Snooze } from "./snooze";
import { StatsView } from "./statsView";
import { prospect, type Situation } from "./status";
import { StatusBar } from "./statusBar";

const STATUS_AFTER_MS = 150;
const NOT_INSTALLED = "The midfill server is not installed. It is a Python program, and makes the suggestions on this machine.";
const NOT_LOOKED_AT = "The workspace is not trusted, so its Python environment was not looked at.";

function setContext(name: string, value: boolean): void {
  void vscode.commands.executeCommand("setContext", `midfill.${name}`, value);
}

/** One window: the server, what it suggests, and what the user is told of both. */
export class Session implements vscode.Disposable {
  readonly server: Server;
  readonly provider: SuggestionProvider;
  readonly tracking: ShownTracking;
  readonly snooze: Snooze;
  readonly statsView: StatsView;
  readonly explainView: ExplainView;
  private readonly messages: Messages;
  private readonly statusBar: StatusBar;
  private readonly attention: Attention;
  private state: Situation["state"] = "stopped";
  private problem = "";
  private notice: StatusNotice | undefined;
  private status: ServerStatus | undefined;
  private statusTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly context: vscode.ExtensionContext,
    readonly log: vscode.LogOutputChannel,
  ) {
    this.messages = new Messages(context.globalState);
    this.server = new Server(log, () => serverOptions(context), {
      stateChanged: (state, problem) => void this.serverChanged(state, problem),
      statusChanged: (notice) => void this.noticed(notice),
      message: (text, isError) => this.relay(text, isError),
    });
    this.tracking = this.makeTracking();
    this.provider = new SuggestionProvider(
      this.server, this.tracking, (document) => this.maySuggest(document), () => this.refreshStatus());
    this.snooze = new Snooze(() => this.changed());
    this.statsView = new StatsView(this.server);
    this.explainView = new ExplainView(this.server);
    this.statusBar = new StatusBar(() => this.situation());
    this.attention = new Attention(this.server);
  }

  dispose(): void {
    clearTimeout(this.statusTimer);
    this.tracking.gone();
    [this.provider, this.statusBar, this.attention, this.snooze].forEach((each) => each.dispose());
  }

  // -- the server ------------------------------------------------------------------------

  /** Find the server and start it; says once if there is none. */
  async connect(): Promise<void> {
    this.status = this.notice = undefined;
    let launch: Launch | undefined;
    try {
      launch = await this.find();
    } catch (error) {
      const text = error instanceof BadPathError
        ? `There is no file ${error.message}. Correct the setting midfill.server.path, or empty it to have the server looked for.`
        : String(error);
      await this.missing("badPath", text, { "Open Settings": () => openSettings("midfill.server.path") });
      return;
    }
    if (launch) {
      await this.server.start(launch);
    } else {
      const text = vscode.workspace.isTrusted ? NOT_INSTALLED : `${NOT_INSTALLED} ${NOT_LOOKED_AT}`;
      await this.missing("missing", text, { "Install…": () => this.installServer() });
    }
  }

  /** The user wants the server started anew, and to be told if that fails. */
  async restart(): Promise<void> {
    await this.messages.forget("missing", "badPath", "broken");
    await this.connect();
  }

  /** Find the server again, if another is meant now, as after a change of the interpreter. */
  async reconsider(): Promise<void> {
    const launch = await this.find().catch(() => undefined);
    if (launch?.command !== this.server.launch?.command || !this.server.isRunning) {
      await this.connect();
    }
  }

  /** Install the server, or bring it up to date, if the user agrees. */
  async installServer(): Promise<void> {
    const found = await this.find().catch(() => undefined);
    if (await install(found, this.machine())) {
      await this.restart();
    }
  }

  /** Fetch a model that the user chooses. */
  async fetchModel(): Promise<void> {
    const launch = this.server.launch ?? (await this.find().catch(() => undefined));
    if (!launch) {
      void vscode.window.showWarningMessage("midfill: install the server first.");
    } else if (await chooseAndFetch(launch, this.log)) {
      this.modelArrived();
    }
  }

  private async find(): Promise<Launch | undefined> {
    const folders = vscode.workspace.isTrusted ? (vscode.workspace.workspaceFolders ?? []) : [];
    const trustedFolders = folders.filter(({ uri }) => uri.scheme === "file").map(({ uri }) => uri.fsPath);
    const setting = serverPath();
    const python = setting ? undefined : await selectedInterpreter();
    return findServer({ setting, python, trustedFolders }, this.machine());
  }

  private machine(): Machine {
    const ownFolder = path.join(this.context.globalStorageUri.fsPath, "server");
    const isFile = (file: string): boolean => statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
    return { platform: process.platform, home: os.homedir(), env: process.env, ownFolder, isFile };
  }

  private async missing(about: string, text: string, actions: Readonly<Record<string, () => unknown>>): Promise<void> {
    await this.server.stop();
    this.server.launch = undefined;
    this.state = "missing";
    this.problem = text;
    this.changed();
    void this.messages.once(about, `midfill: ${text}`, actions);
  }

  private async serverChanged(state: State, problem: string): Promise<void> {
    this.state = state;
    this.problem = problem;
    if (state !== "running") {
      this.provider.clear();
      this.tracking.gone();
    }
    this.changed();
    if (state === "broken") {
      const actions = { "Show Log": () => this.log.show(), "Reinstall…": () => this.installServer(), Restart: () => this.restart() };
      await this.messages.once("broken", `midfill: the server does not run. ${problem}`, actions);
    } else if (state === "running") {
      this.attention.focused();
      await this.messages.forget("missing", "badPath", "broken");
      await this.checkVersion();
      await this.readStatus();
    }
  }

  private async checkVersion(): Promise<void> {
    if (this.server.protocol > 0) {
      await this.messages.forget("old");
      return;
    }
    const text = `midfill: the server ${this.server.version} at ${this.server.launch?.command} is older than this extension. Suggestions work; alternatives, statistics and status need a newer one.`;
    void this.messages.once("old", text, { "Update…": () => this.installServer() });
  }

  /** Whether the server knows more than plain LSP; says what to do where it does not. */
  requireProtocol(): boolean {
    if (this.server.isRunning && this.server.protocol > 0) {
      return true;
    }
    if (!this.server.isRunning) {
      void vscode.window.showWarningMessage(`midfill: ${this.problem || "the server is not running."}`);
    } else {
      const update = "Update…";
      void vscode.window
        .showWarningMessage(`midfill: this needs a newer server than ${this.server.version}.`, update)
        .then((chosen) => chosen && this.installServer());
    }
    return false;
  }

  // -- what is suggested -------------------------------------------------------------------

  private maySuggest(document: vscode.TextDocument): boolean {
    return !this.snooze.isOn && isLanguageEnabled(document.languageId);
  }

  private makeTracking(): ShownTracking {
    const reports = {
      shown: (item: object) => this.server.notify(Method.didShow, { item }),
      partiallyAccepted: (item: object, acceptedLength: number) => {
        this.server.notify(Method.didPartiallyAccept, { item, acceptedLength });
        this.refreshStatus();
      },
      dismissed: (item: object) => this.server.notify(Method.didDismiss, { item }),
      visible: (isVisible: boolean) => setContext("visible", isVisible),
    };
    return new ShownTracking(reports, (ms, call) => {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    });
  }

  /** An item was taken whole; the editor has inserted it. */
  async accepted(id: string): Promise<void> {
    setContext("hasAccepted", true);
    this.tracking.gone();
    await this.server.execute(ServerCommand.accepted, id).catch((error) => this.log.warn(`accepted: ${error}`));
    this.refreshStatus();
  }

  // -- what the user is told ---------------------------------------------------------------

  /** Draw the state anew. */
  changed(): void {
    setContext("running", this.state === "running");
    this.statusBar.draw();
  }

  /** Everything there is to say of the state. */
  situation(): Situation {
    const document = vscode.window.activeTextEditor?.document;
    const languageId = document && isOurs(document) ? document.languageId : undefined;
    return {
      state: this.state,
      problem: this.problem,
      notice: this.notice,
      status: this.status,
      isSnoozed: this.snooze?.isOn ?? false,
      snoozeEnd: this.snooze?.end ?? "",
      languageId,
      isLanguageEnabled: languageId === undefined || isLanguageEnabled(languageId),
      isTrusted: vscode.workspace.isTrusted,
    };
  }

  /** Ask the server how it stands, once it is quiet for a moment. */
  refreshStatus(): void {
    clearTimeout(this.statusTimer);
    this.statusTimer = setTimeout(() => void this.readStatus(), STATUS_AFTER_MS);
  }

  private async readStatus(): Promise<void> {
    if (this.server.protocol > 0 && this.server.isRunning) {
      this.status = await this.server.request<ServerStatus>(Method.status, {}).catch(() => this.status);
      this.changed();
      await this.checkModel();
      await this.offerLarger();
    }
  }

  private async noticed(notice: StatusNotice): Promise<void> {
    this.notice = notice;
    this.changed();
    this.refreshStatus();
    await this.checkModel();
  }

  private async checkModel(): Promise<void> {
    const lacksModel = this.status?.reason === "model_not_fetched" || needsFetch(this.notice?.message ?? "");
    setContext("hasModel", this.server.isRunning && !lacksModel);
    const launch = this.server.launch;
    if (!launch) {
      return;
    }
    if (!lacksModel) {
      await this.messages.forget("model");
      return;
    }
    const actions = {
      "Fetch the Default": async () => (await fetchModel(launch, undefined, this.log)) && this.modelArrived(),
      "Choose…": () => this.fetchModel(),
    };
    void this.messages.once("model", "midfill: no model is fetched yet. The default is a download of 0.5 GB for a CPU; it is checked, kept, and then used offline.", actions);
  }

  /** Say once that a larger model is worth its download; the menu goes on to say so. */
  private async offerLarger(): Promise<void> {
    const { larger } = this.status ?? {};
    setContext("hasLarger", !!larger);
    if (larger) {
      const text = `midfill: ${larger.id} is worth a try (${prospect(larger)}). It is measured once it is fetched, and used if it is fast enough.`;
      await this.messages.once(`larger.${larger.id}`, text, { "Fetch It": () => this.fetchLarger() }, vscode.window.showInformationMessage);
    }
  }

  /** Fetch the larger model that the server has named. */
  async fetchLarger(): Promise<void> {
    const { launch } = this.server;
    const { larger } = this.status ?? {};
    if (launch && larger && (await fetchModel(launch, larger.id, this.log))) {
      this.modelArrived();
    }
  }

  private modelArrived(): void {
    setContext("hasModel", true);
    void this.connect();
  }

  /** Show what the server says to the user; what the extension asks itself is not told twice. */
  private relay(text: string, isError: boolean): void {
    if (!needsFetch(text)) {
      void (isError ? vscode.window.showErrorMessage(text) : vscode.window.showWarningMessage(text));
    }
  }
}

function needsFetch(message: string): boolean {
  return message.includes("midfill model fetch");
}

/** Open the settings at some of ours. */
export function openSettings(query = "@ext:midfill.midfill"): Thenable<unknown> {
  return vscode.commands.executeCommand("workbench.action.openSettings", query);
}
