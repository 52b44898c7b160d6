import * as vscode from "vscode";

/** Messages that are shown once, and not again in the next window either, until they are news. */
export class Messages {
  constructor(private readonly memory: vscode.Memento) {}

  /**
   * Show a message, unless it was shown before.
   *
   * @param about what it is about; see `forget`.
   * @param actions buttons by their labels.
   * @returns whether it was shown.
   */
  async once(about: string, text: string, actions: Readonly<Record<string, () => unknown>>): Promise<boolean> {
    const key = `told.${about}`;
    if (this.memory.get(key)) {
      return false;
    }
    await this.memory.update(key, true);
    const chosen = await vscode.window.showWarningMessage(text, ...Object.keys(actions));
    await (chosen && actions[chosen]?.());
    return true;
  }

  /** What the messages were about is no more, or the user wants to know: it is news again. */
  async forget(...about: string[]): Promise<void> {
    await Promise.all(about.map((each) => this.memory.update(`told.${each}`, undefined)));
  }
}
