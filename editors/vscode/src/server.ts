import { spawn, type ChildProcess } from "node:child_process";
import * as os from "node:os";
import * as vscode from "vscode";
import { CloseAction, ErrorAction, LanguageClient, ProgressType, type LanguageClientOptions } from "vscode-languageclient/node";
import { Method, protocolOf, type ItemList, type StatusNotice } from "./protocol";
import { Restarts } from "./restarts";
import type { Launch } from "./serverDiscovery";

const STDERR_LINES = 12;
const STOP_TIMEOUT_MS = 3000;
const LAST_WORDS_MS = 1000;

export type State = "stopped" | "starting" | "running" | "restarting" | "broken";

/** In which documents suggestions are made. */
export const DOCUMENTS = [{ scheme: "file" }, { scheme: "untitled" }];

/** What the extension is told of the server. */
export interface ServerEvents {
  /** @param problem why it is broken; "" otherwise. */
  stateChanged(state: State, problem: string): void;
  statusChanged(notice: StatusNotice): void;
  /** The server has something to say to the user; `isError` or a warning. */
  message(text: string, isError: boolean): void;
}

/** A language client that shows no messages of its own: what happened is told once, elsewhere. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown, _show?: boolean | "force"): void {
    super.error(message, data, false);
  }
}

/** The language server: started, watched, restarted a few times when it dies, and stopped. */
export class Server {
  state: State = "stopped";
  /** Number of midfill's own protocol; 0 for servers from before it. */
  protocol = 0;
  version = "";
  launch: Launch | undefined;
  private client: LanguageClient | undefined;
  private process: ChildProcess | undefined;
  /** Resolves once the process has ended and all that it said is read. */
  private ended: Promise<void> = Promise.resolve();
  private readonly restarts = new Restarts();
  private readonly lastWords: string[] = [];
  private restartTimer: NodeJS.Timeout | undefined;

  /** @param options read at every start. */
  constructor(
    private readonly log: vscode.LogOutputChannel,
    private readonly options: () => Record<string, unknown>,
    private readonly events: ServerEvents,
  ) {}

  get isRunning(): boolean {
    return this.state === "running";
  }

  /** Start a server; one that runs is stopped before. */
  async start(launch: Launch): Promise<void> {
    await this.stop();
    this.restarts.forget();
    this.launch = launch;
    await this.startClient(launch);
  }

  /** Stop the server; it stays stopped. */
  async stop(): Promise<void> {
    clearTimeout(this.restartTimer);
    const { client, process } = this;
    this.client = this.process = undefined;
    this.setState("stopped");
    if (client) {
      await client.stop(STOP_TIMEOUT_MS).catch(() => undefined);
      await client.dispose().catch(() => undefined);
      process?.kill();
    }
  }

  /** @throws whatever the server answers as an error, and when it does not run. */
  async request<Result>(method: string, params: unknown, token?: vscode.CancellationToken): Promise<Result> {
    if (!this.client || !this.isRunning) {
      throw new Error("The server is not running.");
    }
    return token ? this.client.sendRequest<Result>(method, params, token) : this.client.sendRequest<Result>(method, params);
  }

  /** Send a notification, if there is somebody to hear it. */
  notify(method: string, params: unknown): void {
    if (this.client && this.isRunning) {
      this.client.sendNotification(method, params).catch((error) => this.log.warn(`${method}: ${error}`));
    }
  }

  /** Run a command of the server. */
  async execute(command: string, ...args: unknown[]): Promise<void> {
    await this.request(Method.executeCommand, { command, arguments: args });
  }

  onPartialResult(token: string, take: (list: ItemList) => void): vscode.Disposable {
    return this.client?.onProgress(new ProgressType<ItemList>(), token, take) ?? new vscode.Disposable(() => undefined);
  }

  /** The document and position of a request, with the context of an inline completion. */
  paramsOf(document: vscode.TextDocument, position: vscode.Position, context?: vscode.InlineCompletionContext): object {
    const selected = context?.selectedCompletionInfo;
    return {
      textDocument: { uri: document.uri.toString(), version: document.version },
      position: { line: position.line, character: position.character },
      ...(context && {
        context: {
          triggerKind: context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke ? 1 : 2,
          ...(selected && { selectedCompletionInfo: { text: selected.text, range: selected.range } }),
        },
      }),
    };
  }

  private async startClient(launch: Launch): Promise<void> {
    this.setState("starting");
    this.lastWords.length = 0;
    this.log.info(`starting ${launch.command} serve (found by: ${launch.origin})`);
    const client = new QuietClient("midfill", "midfill", () => this.spawn(launch), this.clientOptions());
    this.client = client;
    client.onNotification(Method.didChangeStatus, (notice: StatusNotice) => this.events.statusChanged(notice));
    client.onNotification("window/showMessage", ({ type, message }: { type: number; message: string }) => {
      this.log.info(message);
      this.events.message(message, type === 1);
    });
    try {
      await client.start();
    } catch (error) {
      this.log.error(`the server did not start: ${error}`);
      await this.lastWordsHeard();
      if (this.client === client) {
        this.setState("broken", this.describeEnd(launch));
      }
      return;
    }
    if (this.client === client) {
      const result = client.initializeResult;
      this.protocol = protocolOf(result?.capabilities.experimental);
      this.version = result?.serverInfo?.version ?? "";
      this.log.info(`the server runs: version ${this.version || "unknown"}, protocol ${this.protocol}`);
      this.setState("running");
    }
  }

  private clientOptions(): LanguageClientOptions {
    return {
      documentSelector: DOCUMENTS,
      outputChannel: this.log,
      initializationOptions: this.options(),
      initializationFailedHandler: () => false,
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => {
          this.closed();
          return { action: CloseAction.DoNotRestart, handled: true };
        },
      },
      middleware: {
        // Ours is another provider, which shows partial results as well.
        provideInlineCompletionItems: () => undefined,
      },
    };
  }

  private async spawn(launch: Launch): Promise<ChildProcess> {
    // Not in the workspace's folder: Python would take modules from there.
    const child = spawn(launch.command, ["serve"], { cwd: os.homedir(), stdio: "pipe" });
    this.process = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => this.heard(text));
    this.ended = new Promise((resolve) => child.once("close", () => resolve()));
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    child.on("error", (error) => this.log.error(String(error)));
    return child;
  }

  /** What a process said last may come after its end is known. */
  private async lastWordsHeard(): Promise<void> {
    await Promise.race([this.ended, new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))]);
  }

  private heard(text: string): void {
    for (const line of text.split(/\r?\n/).filter((each) => each.trim())) {
      this.log.info(line);
      this.lastWords.push(line);
    }
    this.lastWords.splice(0, this.lastWords.length - STDERR_LINES);
  }

  /** The connection was closed without our doing. */
  private closed(): void {
    const launch = this.launch;
    if (!launch || this.state !== "running") {
      return; // while starting, `start` fails
    }
    const wait = this.restarts.nextWaitMs(Date.now());
    if (wait === undefined) {
      void this.lastWordsHeard().then(() => {
        if (this.launch === launch && this.state === "running") {
          this.setState("broken", this.describeEnd(launch));
        }
      });
      return;
    }
    this.log.warn(`the server has left; it is started again in ${wait} ms`);
    this.setState("restarting");
    void this.client?.dispose().catch(() => undefined);
    this.client = undefined;
    this.restartTimer = setTimeout(() => void this.startClient(launch), wait);
  }

  private describeEnd(launch: Launch): string {
    const last = this.lastWords.at(-1);
    return last ? `${launch.command} ended: ${last}` : `${launch.command} ended without a word.`;
  }

  private setState(state: State, problem = ""): void {
    if (state !== this.state || problem) {
      this.state = state;
      this.events.stateChanged(state, problem);
    }
  }
}
