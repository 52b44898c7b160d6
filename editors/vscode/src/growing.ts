import type { Item } from "./protocol";

/**
 * The answer to one request, while it grows.
 *
 * It is held back as long as it says less than what stands on the screen already, so that the
 * text never becomes shorter only to grow again.
 */
export class GrowingAnswer {
  items: readonly Item[] = [];
  complete = false;
  /** Resolves once there is something to show, or nothing will come. */
  readonly ready: Promise<void>;
  /** Resolves once nothing more will come. */
  readonly whole: Promise<void>;
  private isReady = false;
  private resolveReady: () => void = () => undefined;
  private resolveWhole: () => void = () => undefined;

  /**
   * @param standing text that is shown at the place already; "" for none.
   * @param onGrown called when there is more to show than there was when it became ready.
   */
  constructor(
    private readonly standing: string,
    private readonly onGrown: () => void,
  ) {
    this.ready = new Promise((resolve) => {
      this.resolveReady = resolve;
    });
    this.whole = new Promise((resolve) => {
      this.resolveWhole = resolve;
    });
  }

  /** Take a partial result, which replaces the one before. */
  grow(items: readonly Item[]): void {
    const text = items[0]?.insertText ?? "";
    if (this.complete || text === "" || (text !== this.standing && this.standing.startsWith(text))) {
      return;
    }
    this.take(items);
  }

  /** Take the last result; after a failure it is what was there. */
  finish(items: readonly Item[]): void {
    if (this.complete) {
      return;
    }
    this.complete = true;
    this.take(items);
    this.resolveWhole();
  }

  /** Nothing more comes. */
  end(): void {
    this.finish(this.items);
  }

  private take(items: readonly Item[]): void {
    const isNews = items[0]?.insertText !== this.items[0]?.insertText;
    this.items = items;
    if (!this.isReady) {
      this.isReady = true;
      this.resolveReady();
    } else if (isNews) {
      this.onGrown();
    }
  }
}
