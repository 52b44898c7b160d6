import * as vscode from "vscode";

type Show = (text: string, ...labels: string[]) => Thenable<string | undefined>;

/** Messages that are shown once, and not again in the next window either, until they are news. */
export class Messages {
  constructor(private readonly memory: vscode.Memento) {}

  /**
   * Show a message, unless it was shown before.
   *
   * @param about what it is about; see `forget`.
   * @param actions buttons by their labels.
   * @param show how loud it is.
   * @returns whether it was shown.
   */
  async once(about: string, text: string, actions: Readonly<Record<string, () => unknown>>, show: Show = vscode.window.showWarningMessage): Promise<boolean> {
    const key = `told.${about}`;
    if (this.memory.get(key)) {
      return false;
    }
    await this.memory.update(key, true);
    const chosen = await show(text, ...Object.keys(actions));
    await (chosen && actions[chosen]?.());
    return true;
  }

  /** What the messages were about is no more, or the user wants to know: it is news again. */
  async forget(...about: string[]): Promise<void> {
    await Promise.all(about.map((each) => this.memory.update(`told.${each}`, undefined)));
  }
}
