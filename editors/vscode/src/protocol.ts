/** What goes over the wire beside plain LSP; `editors/protocol.md` documents it. */

/** A suggestion as the server sends it. */
export interface Item {
  readonly insertText: string;
  readonly range?: { readonly start: Position; readonly end: Position };
  readonly command?: { readonly title: string; readonly command: string; readonly arguments?: unknown[] };
}

export interface Position {
  readonly line: number;
  readonly character: number;
}

export interface ItemList {
  readonly items: readonly Item[];
}

export type StatusKind = "Normal" | "Inactive" | "Warning" | "Error";

/** The notification `didChangeStatus`. */
export interface StatusNotice {
  readonly kind: StatusKind;
  readonly message: string;
  readonly busy: boolean;
}

/** The answer to `midfill/status`; all times are milliseconds. */
export interface ServerStatus extends StatusNotice {
  readonly version: string;
  readonly model: { readonly id: string } | null;
  readonly paused: boolean;
  readonly lastLatencyMs: number | null;
  readonly today: { readonly shown: number; readonly accepted: number; readonly rate: number | null } | null;
  readonly reason: string | null;
  readonly larger?: LargerModel | null;
}

/** A model that is not fetched, and would probably be fast enough on this machine. */
export interface LargerModel {
  readonly id: string;
  readonly sizeBytes: number;
  readonly firstLineMs: number;
}

/** The answer to `midfill/why`; `reason` is null when the last request brought a suggestion. */
export interface Why {
  readonly reason: string | null;
  readonly text: string;
  readonly hint: string;
  readonly id: string | null;
}

export interface Snippet {
  readonly path: string;
  readonly startByte: number;
  readonly endByte: number;
  readonly text: string;
  readonly origin: string;
  readonly score: number;
}

export interface DroppedSnippet extends Snippet {
  readonly reason: string;
}

/** The answer to `midfill/explain`; null before the first request in a document. */
export interface Explanation {
  readonly id: string;
  readonly reason: string | null;
  readonly message: string;
  readonly text: string;
  readonly model?: string;
  readonly score?: number;
  /** P(accept), and the least of it that is shown. */
  readonly p?: number;
  readonly leastP?: number;
  readonly timings?: Readonly<Record<string, number>>;
  readonly raw?: string;
  readonly stop?: string;
  readonly segmentTokens?: readonly number[];
  readonly snippets?: readonly Snippet[];
  readonly dropped?: readonly DroppedSnippet[];
}

export interface Marks {
  readonly pinned: readonly string[];
  readonly banned: readonly string[];
}

export const Method = {
  inlineCompletion: "textDocument/inlineCompletion",
  alternatives: "midfill/alternatives",
  status: "midfill/status",
  didChangeStatus: "didChangeStatus",
  why: "midfill/why",
  explain: "midfill/explain",
  stats: "midfill/stats",
  marks: "midfill/marks",
  executeCommand: "workspace/executeCommand",
  didChangeConfiguration: "workspace/didChangeConfiguration",
  didShow: "textDocument/didShowCompletion",
  didPartiallyAccept: "textDocument/didPartiallyAcceptCompletion",
  didDismiss: "midfill/didDismissCompletion",
  didMoveCursor: "midfill/didMoveCursor",
  didFocus: "textDocument/didFocus",
} as const;

export const ServerCommand = {
  accepted: "midfill.accepted",
  pin: "midfill.pin",
  unpin: "midfill.unpin",
  ban: "midfill.ban",
  unban: "midfill.unban",
  pause: "midfill.pause",
  resume: "midfill.resume",
} as const;

/** The id under which the server knows a suggestion; undefined where it gave none. */
export function idOf(item: Item): string | undefined {
  const id = item.command?.arguments?.[0];
  return typeof id === "string" ? id : undefined;
}

/** The protocol's number in what the server says of itself; 0 for servers from before it. */
export function protocolOf(experimental: unknown): number {
  const midfill = (experimental as { midfill?: { protocol?: unknown } } | null | undefined)?.midfill;
  return typeof midfill?.protocol === "number" ? midfill.protocol : 0;
}
