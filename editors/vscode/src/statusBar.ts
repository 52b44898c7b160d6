import * as vscode from "vscode";
import { badge, details, summarise, type Situation } from "./status";

/** The item in the status bar; a click opens the menu. */
export class StatusBar implements vscode.Disposable {
  private readonly item: vscode.StatusBarItem;

  /** @param situation read whenever it is drawn. */
  constructor(private readonly situation: () => Situation) {
    this.item = vscode.window.createStatusBarItem("midfill.status", vscode.StatusBarAlignment.Right, 100);
    this.item.name = "midfill";
    this.item.command = "midfill.showMenu";
    this.draw();
    this.item.show();
  }

  draw(): void {
    const now = this.situation();
    const { icon, headline, severity } = summarise(now);
    this.item.text = `$(${icon}) ${badge(now)}`;
    const lines = [headline, ...details(now)];
    this.item.tooltip = lines.join("\n");
    this.item.accessibilityInformation = { label: `midfill: ${lines.join(", ")}` };
    this.item.backgroundColor =
      severity === "none" ? undefined : new vscode.ThemeColor(`statusBarItem.${severity}Background`);
  }

  dispose(): void {
    this.item.dispose();
  }
}
