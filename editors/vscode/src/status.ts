import type { LargerModel, ServerStatus, StatusNotice } from "./protocol";
import type { State } from "./server";

/** Everything that the status bar tells of. */
export interface Situation {
  readonly state: State | "missing";
  /** Why the server is missing or broken. */
  readonly problem: string;
  readonly notice: StatusNotice | undefined;
  readonly status: ServerStatus | undefined;
  readonly isSnoozed: boolean;
  readonly snoozeEnd: string;
  /** The language of the document that is looked at; undefined where there is none. */
  readonly languageId: string | undefined;
  readonly isLanguageEnabled: boolean;
  /** Whether the user trusts the workspace; in another its programs and paths are not used. */
  readonly isTrusted: boolean;
}

export interface Shown {
  readonly icon: string;
  readonly headline: string;
  readonly severity: "none" | "warning" | "error";
}

/** The state in one line, by what matters most. */
export function summarise(now: Situation): Shown {
  const shown = (icon: string, headline: string, severity: Shown["severity"] = "none"): Shown => ({ icon, headline, severity });
  switch (now.state) {
    case "missing":
      return shown("warning", now.problem || "The server is not installed", "warning");
    case "broken":
      return shown("error", now.problem || "The server does not run", "error");
    case "stopped":
      return shown("circle-slash", "Stopped");
    case "starting":
    case "restarting":
      return shown("loading~spin", "Starting");
    case "running":
      break;
  }
  const message = now.notice?.message ?? "";
  if (now.notice?.kind === "Error") {
    return shown("error", message || "Error", "error");
  }
  if (now.status?.paused || now.notice?.kind === "Inactive") {
    return shown("debug-pause", message || "Paused in all editors");
  }
  if (now.isSnoozed) {
    return shown("bell-slash", now.snoozeEnd ? `Snoozed until ${now.snoozeEnd}` : "Snoozed until the window is closed");
  }
  if (now.notice?.kind === "Warning") {
    return shown("warning", message || "Warning", "warning");
  }
  if (now.languageId !== undefined && !now.isLanguageEnabled) {
    return shown("circle-slash", `Off for ${now.languageId}`);
  }
  if (now.notice?.busy) {
    return shown("loading~spin", message || "Working");
  }
  return shown("edit", message ? `Ready: ${message}` : "Ready");
}

/** What is told beside the state, each in a line: model, latency, acceptance today, restrictions. */
export function details(now: Situation): string[] {
  if (now.state !== "running") {
    return [];
  }
  const lines = now.status ? figures(now.status) : [];
  if (!now.isTrusted) {
    lines.push("Restricted: the workspace is not trusted, so its Python environment and its paths in settings are not used");
  }
  return lines;
}

function figures(status: ServerStatus): string[] {
  const lines = [`Model: ${status.model?.id ?? "none"}`];
  if (status.lastLatencyMs !== null) {
    lines.push(`Last suggestion after ${Math.round(status.lastLatencyMs)} ms`);
  }
  if (status.today) {
    const { shown, accepted, rate } = status.today;
    lines.push(`Today: ${accepted} of ${shown} accepted${rate === null ? "" : ` (${Math.round(100 * rate)} %)`}`);
  } else {
    lines.push("Nothing is recorded: the acceptance log is off");
  }
  return lines;
}

/** What a larger model costs and gives, in a few words. */
export function prospect({ sizeBytes, firstLineMs }: LargerModel): string {
  return `${(sizeBytes / 1e9).toFixed(1)} GB, better suggestions, a line in about ${(firstLineMs / 1000).toFixed(1)} s here`;
}

/** The short text beside the icon: acceptance today, once there is some. */
export function badge(now: Situation): string {
  const rate = now.state === "running" ? now.status?.today?.rate : undefined;
  return rate === null || rate === undefined ? "midfill" : `midfill ${Math.round(100 * rate)} %`;
}
