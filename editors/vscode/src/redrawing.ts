/** What it takes of the editor to have ghost text drawn anew. */
export interface EditorCalls {
  /** Make the provider one that the editor has not asked yet; the result ends the one before. */
  renew(): () => void;
  /** Have the editor ask the provider, and no other, as it does by itself after an edit. */
  askProvider(): PromiseLike<unknown>;
  hide(): PromiseLike<unknown>;
  /** Have the editor ask all providers, as when the user wants a suggestion. */
  askAll(): PromiseLike<unknown>;
}

/**
 * Has the editor draw ghost text anew at a place where it has asked for it already.
 *
 * It answers such a wish from what it knows, unless a provider is new to it. What a single
 * provider then gives takes the place of what stood there, without a frame in between. Editors
 * from before mid-2025 ask all providers and go on showing what they were given first; there the
 * text is hidden before, which may be seen for a frame.
 */
export class Redrawing {
  private way: "none" | "inPlace" | "hidden" = "none";
  private wasAsked = false;

  constructor(private readonly editor: EditorCalls) {}

  /** Whether the editor is just being made to ask. */
  get isOn(): boolean {
    return this.way !== "none";
  }

  /**
   * The editor asks for suggestions.
   *
   * @param isAutomatic whether it does so by itself.
   * @returns whether it draws what it is given.
   */
  asked(isAutomatic: boolean): boolean {
    if (this.way !== "inPlace") {
      return true;
    }
    this.wasAsked ||= isAutomatic;
    return isAutomatic;
  }

  /** Replace what is shown; gives whether the editor has asked for it. */
  async inPlace(): Promise<boolean> {
    this.way = "inPlace";
    this.wasAsked = false;
    const endFormer = this.editor.renew();
    try {
      await this.editor.askProvider();
      return this.wasAsked;
    } catch {
      return false; // an editor that does not know the arguments
    } finally {
      endFormer();
      this.way = "none";
    }
  }

  /** Hide what is shown, and show what there is by then. */
  async hidden(): Promise<void> {
    this.way = "hidden";
    try {
      // Without a wait in between, the gap is a frame at most on a machine that is not busy.
      await Promise.allSettled([this.editor.hide(), this.editor.askAll()]);
    } finally {
      this.way = "none";
    }
  }
}
