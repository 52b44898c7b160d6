import * as vscode from "vscode";
import { GrowingAnswer } from "./growing";
import { Pace } from "./pace";
import { idOf, Method, type Item, type ItemList } from "./protocol";
import { Redrawing } from "./redrawing";
import { DOCUMENTS, type Server } from "./server";
import type { ShownTracking } from "./shownTracking";

/** Runs when an item of ours was taken whole; its argument is the suggestion's id. */
export const ACCEPTED = "midfill.internal.accepted";

const HIDE = "editor.action.inlineSuggest.hide";
const TRIGGER = "editor.action.inlineSuggest.trigger";
/** All providers of this extension; of several the editor takes the one that is newest to it. */
const OURS = "midfill.midfill:*";
const N_ALTERNATIVES = 3;

/** A cursor in a version of a document, and what is selected in the suggest widget there. */
interface Place {
  readonly document: vscode.TextDocument;
  readonly version: number;
  readonly position: vscode.Position;
  readonly selected: string;
}

interface Asked {
  readonly place: Place;
  readonly answer: GrowingAnswer;
  readonly cancel: vscode.CancellationTokenSource;
  readonly pace: Pace;
  alternatives: Promise<void> | undefined;
  index: number;
  /** What the editor was given last and draws. */
  given: readonly Item[];
  /** Whether the editor replaces it in place, as far as is known. */
  isReplaceable: boolean;
  growTimer: NodeJS.Timeout | undefined;
}

/** Offset of a position as if every line ended with one character, as items count. */
export function offsetOf(document: vscode.TextDocument, position: vscode.Position): number {
  const offset = document.offsetAt(position);
  return document.eol === vscode.EndOfLine.CRLF ? offset - position.line : offset;
}

/** Ghost text that grows: asks the server, shows the first partial result, and then each next. */
export class SuggestionProvider implements vscode.InlineCompletionItemProvider, vscode.Disposable {
  private asked: Asked | undefined;
  private nTokens = 0;
  private registration: vscode.Disposable | undefined;
  private readonly redrawing: Redrawing;
  private redrawn: Promise<void> = Promise.resolve();

  /**
   * @param mayAsk whether suggestions are wanted in a document.
   * @param onAnswered called with every whole answer.
   */
  constructor(
    private readonly server: Server,
    private readonly tracking: ShownTracking,
    private readonly mayAsk: (document: vscode.TextDocument) => boolean,
    private readonly onAnswered: (nItems: number) => void,
  ) {
    this.register();
    this.redrawing = new Redrawing({
      renew: () => this.register(),
      askProvider: () => vscode.commands.executeCommand(TRIGGER, { providerId: OURS, explicit: false }),
      hide: () => vscode.commands.executeCommand(HIDE),
      askAll: () => vscode.commands.executeCommand(TRIGGER),
    });
  }

  dispose(): void {
    this.clear();
    this.registration?.dispose();
  }

  async provideInlineCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
  ): Promise<vscode.InlineCompletionItem[]> {
    if (!this.server.isRunning || !this.mayAsk(document)) {
      return [];
    }
    const selected = context.selectedCompletionInfo?.text ?? "";
    const place: Place = { document, version: document.version, position, selected };
    const isAutomatic = context.triggerKind === vscode.InlineCompletionTriggerKind.Automatic;
    const isDrawn = this.redrawing.asked(isAutomatic);
    let asked = this.asked;
    if (!asked || !isSame(asked.place, place)) {
      asked = this.ask(place, context);
    } else if (!isAutomatic && !this.redrawing.isOn) {
      await this.addAlternatives(asked);
    }
    const taken = token.onCancellationRequested(() => this.drop(asked));
    await asked.answer.ready;
    taken.dispose();
    if (token.isCancellationRequested || this.asked !== asked) {
      return [];
    }
    const { items, complete } = asked.answer;
    if (isDrawn) {
      asked.given = items;
      asked.pace.drawn(textOf(items), Date.now());
    }
    this.tracking.offered(document.uri.toString(), offsetOf(document, position), items, asked.index, complete);
    return items.map((item) => toEditor(item, position));
  }

  /** Forget what is shown: it was turned down, or there is nothing to ask any more. */
  clear(): void {
    this.drop(this.asked);
  }

  /** Show the next (1) or the previous (-1) of the suggestions for this place. */
  async cycle(step: 1 | -1): Promise<void> {
    const asked = this.asked;
    if (!asked || !this.isCurrent(asked)) {
      return;
    }
    const hadAll = asked.alternatives !== undefined;
    await this.addAlternatives(asked);
    const n = asked.answer.items.length;
    if (this.asked !== asked || !this.isCurrent(asked)) {
      return;
    }
    if (n < 2) {
      vscode.window.setStatusBarMessage("midfill: there is no other suggestion here", 4000);
      return;
    }
    if (!hadAll) {
      await this.redraw(asked);
    }
    asked.index = (asked.index + step + n) % n;
    const direction = step === 1 ? "showNext" : "showPrevious";
    await vscode.commands.executeCommand(`editor.action.inlineSuggest.${direction}`);
    const { document, position } = asked.place;
    this.tracking.offered(document.uri.toString(), offsetOf(document, position), asked.answer.items, asked.index, true);
  }

  private ask(place: Place, context: vscode.InlineCompletionContext): Asked {
    const { document, position } = place;
    const before = this.asked;
    const standing = this.tracking.restAt(document.uri.toString(), offsetOf(document, position));
    const answer = new GrowingAnswer(standing, () => void this.grown(asked));
    const cancel = new vscode.CancellationTokenSource();
    const asked: Asked = {
      place, answer, cancel, pace: new Pace(), alternatives: undefined, index: 0,
      given: [], isReplaceable: true, growTimer: undefined,
    };
    this.asked = asked;
    void this.request(asked, context);
    // After the new request, so that the server can let the older one's stream go on.
    before?.cancel.cancel();
    return asked;
  }

  private async request(asked: Asked, context: vscode.InlineCompletionContext): Promise<void> {
    const { place, answer, cancel } = asked;
    const partialResultToken = `midfill-${++this.nTokens}`;
    const params = { ...this.server.paramsOf(place.document, place.position, context), partialResultToken };
    const growing = this.server.onPartialResult(partialResultToken, (list) => answer.grow(list.items));
    try {
      const reply = await this.server.request<ItemList | Item[] | null>(Method.inlineCompletion, params, cancel.token);
      const items = Array.isArray(reply) ? reply : (reply?.items ?? []);
      answer.finish(items);
      this.onAnswered(items.length);
    } catch {
      answer.end(); // cancelled, or the server has left: its end is told elsewhere
    } finally {
      growing.dispose();
    }
  }

  /** Ask, once for each place, for more than the one suggestion that stands there. */
  private addAlternatives(asked: Asked): Promise<void> {
    asked.alternatives ??= this.requestAlternatives(asked);
    return asked.alternatives;
  }

  private async requestAlternatives(asked: Asked): Promise<void> {
    const { place, answer, cancel } = asked;
    await answer.whole;
    if (this.server.protocol < 1 || answer.items.length === 0 || cancel.token.isCancellationRequested) {
      return;
    }
    const params = { ...this.server.paramsOf(place.document, place.position), n: N_ALTERNATIVES };
    try {
      const reply = await this.server.request<ItemList>(Method.alternatives, params, cancel.token);
      const first = answer.items[0]!;
      const others = reply.items.filter((item) => item.insertText !== first.insertText);
      answer.items = [first, ...others];
    } catch {
      asked.alternatives = undefined; // may be asked for again
    }
  }

  private drop(asked: Asked | undefined): void {
    asked?.cancel.cancel();
    asked?.answer.end();
    clearTimeout(asked?.growTimer);
    if (asked && this.asked === asked) {
      this.asked = undefined;
    }
  }

  private register(): () => void {
    const former = this.registration;
    this.registration = vscode.languages.registerInlineCompletionItemProvider(DOCUMENTS, this);
    return () => former?.dispose();
  }

  /** There is more to show: have it drawn now, or after a moment together with what comes until then. */
  private async grown(asked: Asked): Promise<void> {
    clearTimeout(asked.growTimer);
    // While the editor asks anew it gets what is there by then.
    while (!this.redrawing.isOn && this.isOutdated(asked)) {
      const { items, complete } = asked.answer;
      const waitMs = asked.pace.waitMs(textOf(items), complete, Date.now());
      if (waitMs > 0) {
        asked.growTimer = setTimeout(() => void this.grown(asked), waitMs);
        return;
      }
      const given = asked.given;
      await this.redraw(asked);
      if (asked.given === given) {
        return; // the editor shows nothing now, whatever the reason
      }
    }
  }

  private isOutdated(asked: Asked): boolean {
    const isNews = textOf(asked.given) !== textOf(asked.answer.items);
    return isNews && this.asked === asked && this.isCurrent(asked);
  }

  /** Have the editor draw what there is, one after another. */
  private redraw(asked: Asked): Promise<void> {
    this.redrawn = this.redrawn.then(async () => {
      const wasReplaced = asked.isReplaceable && (await this.redrawing.inPlace());
      // Where the place was left in the meantime, that the editor did not ask says nothing of it.
      if (!wasReplaced && this.asked === asked && this.isCurrent(asked)) {
        asked.isReplaceable = false;
        await this.redrawing.hidden();
      }
    });
    return this.redrawn;
  }

  private isCurrent({ place }: Asked): boolean {
    const editor = vscode.window.activeTextEditor;
    return (
      editor?.document === place.document &&
      place.document.version === place.version &&
      editor.selection.isEmpty &&
      editor.selection.active.isEqual(place.position)
    );
  }
}

function textOf(items: readonly Item[]): string {
  return items[0]?.insertText ?? "";
}

function isSame(a: Place, b: Place): boolean {
  return (
    a.document === b.document && a.version === b.version && a.position.isEqual(b.position) && a.selected === b.selected
  );
}

function toEditor(item: Item, position: vscode.Position): vscode.InlineCompletionItem {
  const range = item.range
    ? new vscode.Range(
        item.range.start.line, item.range.start.character, item.range.end.line, item.range.end.character)
    : new vscode.Range(position, position);
  const id = idOf(item);
  const command = id === undefined ? undefined : { title: "Accept the suggestion", command: ACCEPTED, arguments: [id] };
  return command
    ? new vscode.InlineCompletionItem(item.insertText, range, command)
    : new vscode.InlineCompletionItem(item.insertText, range);
}
