import { idOf, type Item } from "./protocol";

/** What stood shorter than this was overtaken by typing: nobody has read it. */
export const SHOWN_AFTER_MS = 150;

/** An edit of a document; `offset` and `removed` count UTF-16 units of the text before it. */
export interface Edit {
  readonly offset: number;
  readonly removed: number;
  readonly text: string;
}

/** Told what becomes of suggestions. */
export interface Reports {
  shown(item: Item): void;
  /** @param nTaken UTF-16 units of the item's text that were taken so far. */
  partiallyAccepted(item: Item, nTaken: number): void;
  dismissed(item: Item): void;
  /** Whether a suggestion of ours stands on the screen has changed. */
  visible(isVisible: boolean): void;
}

/** Calls something later; the result takes it back. */
export type Later = (ms: number, call: () => void) => () => void;

interface Standing {
  item: Item;
  readonly uri: string;
  /** Where the item begins, and how much of it was typed or taken since. */
  readonly start: number;
  nTaken: number;
  /** The suggestion of which the item is the rest, and how much of that was taken before. */
  base: Item;
  nBefore: number;
  told: boolean;
  takeBack: () => void;
}

/**
 * Follows the suggestion that stands on the screen, from what the editor's stable interface tells:
 * what it was given, which edits and cursor moves came after, and which of our commands ran.
 */
export class ShownTracking {
  private standing: Standing | undefined;

  constructor(
    private readonly reports: Reports,
    private readonly later: Later,
  ) {}

  /** The item that stands on the screen. */
  get item(): Item | undefined {
    return this.standing?.item;
  }

  /** What of it is still to be typed or taken, at a place; "" if nothing stands there. */
  restAt(uri: string, offset: number): string {
    const now = this.standing;
    return now && now.uri === uri && now.start + now.nTaken === offset ? rest(now) : "";
  }

  /**
   * The editor was given items for the cursor's place, and shows one.
   *
   * @param offset of the cursor, in UTF-16 units.
   * @param complete whether the item will not grow any more.
   */
  offered(uri: string, offset: number, items: readonly Item[], index: number, complete: boolean): void {
    const item = items[index];
    if (!item) {
      this.gone();
      return;
    }
    const before = this.standing;
    const isSame = before !== undefined && idOf(before.item) === idOf(item) && before.uri === uri && before.start === offset;
    if (isSame) {
      before.item = item;
      if (complete && before.nBefore === 0) {
        before.base = item;
      }
      return;
    }
    const goesOn = this.restAt(uri, offset) !== "" && before!.nTaken > 0 && startsEitherWay(rest(before!), item.insertText);
    const isWithinBase = goesOn && before!.nBefore + before!.nTaken < before!.base.insertText.length;
    before?.takeBack();
    const now: Standing = {
      item, uri, start: offset, nTaken: 0, told: false, takeBack: () => undefined,
      base: isWithinBase ? before!.base : item,
      nBefore: isWithinBase ? before!.nBefore + before!.nTaken : 0,
    };
    this.standing = now;
    now.takeBack = this.later(SHOWN_AFTER_MS, () => this.tellShown(now));
    if (!before) {
      this.reports.visible(true);
    }
  }

  /** A document was edited: either what the suggestion says was typed, or it is gone. */
  edited(uri: string, edits: readonly Edit[]): void {
    const now = this.standing;
    if (!now || now.uri !== uri) {
      return;
    }
    for (const edit of edits) {
      const typed = typedLength(edit.text, rest(now));
      if (edit.offset !== now.start + now.nTaken || typed === 0) {
        this.gone();
        return;
      }
      now.nTaken += typed;
    }
    if (rest(now) === "") {
      this.gone();
    }
  }

  /** The cursor is at an offset of a document. */
  moved(uri: string, offset: number): void {
    const now = this.standing;
    if (now && (now.uri !== uri || now.start + now.nTaken !== offset)) {
      this.gone();
    }
  }

  /**
   * Run a command that takes a part of the suggestion, and report what was taken.
   *
   * @param command ends after its edits were told to `edited`.
   */
  async taking(command: () => PromiseLike<unknown>): Promise<void> {
    const now = this.standing;
    const nBefore = now?.nTaken ?? 0;
    await command();
    if (now && now.nTaken > nBefore) {
      this.tellShown(now);
      this.reports.partiallyAccepted(now.base, now.nBefore + now.nTaken);
    }
  }

  /** The user has turned the suggestion down. */
  dismissed(): void {
    const now = this.standing;
    if (now) {
      this.tellShown(now);
      this.reports.dismissed(now.item);
      this.gone();
    }
  }

  /** No suggestion of ours stands any more. */
  gone(): void {
    if (this.standing) {
      this.standing.takeBack();
      this.standing = undefined;
      this.reports.visible(false);
    }
  }

  private tellShown(now: Standing): void {
    now.takeBack();
    if (!now.told) {
      now.told = true;
      this.reports.shown(now.item);
    }
  }
}

function rest(now: Standing): string {
  return now.item.insertText.slice(now.nTaken);
}

function startsEitherWay(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a);
}

const PAIRS = ["()", "[]", "{}", '""', "''", "``"];

/** How much of a suggestion's rest an insertion says; a bracket that the editor closes is one. */
function typedLength(inserted: string, remaining: string): number {
  if (inserted !== "" && remaining.startsWith(inserted)) {
    return inserted.length;
  }
  return PAIRS.includes(inserted) && remaining.startsWith(inserted[0]!) ? 1 : 0;
}
