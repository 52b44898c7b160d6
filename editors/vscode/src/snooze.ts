import * as vscode from "vscode";

/** No suggestions for a while, in this window. */
export class Snooze implements vscode.Disposable {
  private until = 0;
  private timer: NodeJS.Timeout | undefined;

  /** @param onChanged called when it begins and ends. */
  constructor(private readonly onChanged: () => void) {}

  get isOn(): boolean {
    return this.until > Date.now();
  }

  /** When it ends, as hours and minutes; "" when it is off or ends with the window. */
  get end(): string {
    return this.isOn && Number.isFinite(this.until)
      ? new Date(this.until).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
      : "";
  }

  /** Begin; `Infinity` lasts until the window is closed or `stop`. */
  start(minutes: number): void {
    clearTimeout(this.timer);
    this.until = Date.now() + minutes * 60_000;
    if (Number.isFinite(minutes)) {
      this.timer = setTimeout(() => this.stop(), minutes * 60_000);
    }
    this.changed();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.until = 0;
    this.changed();
  }

  dispose(): void {
    clearTimeout(this.timer);
  }

  private changed(): void {
    void vscode.commands.executeCommand("setContext", "midfill.snoozed", this.isOn);
    this.onChanged();
  }
}
