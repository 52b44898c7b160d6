import { escape } from "./html";
import type { DroppedSnippet, Explanation, Marks, Snippet } from "./protocol";

/** The command that the page's links run: a mark, and a file's URI. */
export const MARK = "midfill.internal.mark";

const ORIGINS: Readonly<Record<string, string>> = {
  before_cursor: "before the cursor",
  after_cursor: "after the cursor",
};

/** A snippet's file as the page tells of it. */
export interface Source {
  readonly name: string;
  /** For the links that pin and ban it; undefined where neither makes sense. */
  readonly uri: string | undefined;
}

/** The file of a snippet's path. */
export type SourceOf = (path: string) => Source;

/** How the last request was answered, and from what, as a page. */
export function explainPage(explanation: Explanation | null, marks: Marks, sourceOf: SourceOf): string {
  if (!explanation) {
    return page("<p>No suggestion was asked for in this document yet. Type something, then come back.</p>");
  }
  const sections = [answer(explanation)];
  if (explanation.timings) {
    sections.push(timings(explanation.timings));
  }
  sections.push(snippets(explanation.snippets ?? [], marks, sourceOf), dropped(explanation.dropped ?? [], marks, sourceOf));
  return page(sections.join("\n"));
}

function page(body: string): string {
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>midfill</title></head><body><h1>The last suggestion</h1>${body}</body></html>`;
}

function answer(explanation: Explanation): string {
  if (explanation.reason !== null) {
    return `<p><b>No suggestion</b> (<code>${escape(explanation.reason)}</code>): ${escape(explanation.message)}</p>`;
  }
  const score = explanation.score === undefined ? "" : ` · mean log-probability ${explanation.score.toFixed(2)}`;
  const raw = explanation.raw && explanation.raw !== explanation.text
    ? `<details><summary>What the model wrote before the filters (stopped by: ${escape(explanation.stop || "the model")})</summary><pre>${escape(explanation.raw)}</pre></details>`
    : "";
  return `<pre class="answer">${escape(explanation.text)}</pre><p class="soft">${escape(explanation.model ?? "")}${score}${chance(explanation)}</p>${raw}`;
}

/** How likely the suggestion was to be taken, and how likely one must be to be shown. */
function chance({ p, leastP }: Explanation): string {
  const percent = (value: number): string => `${Math.round(100 * value)} %`;
  const least = leastP ? `, shown from ${percent(leastP)}` : "";
  return p === undefined ? "" : ` · taken with a chance of ${percent(p)}${least}`;
}

function timings(figures: Readonly<Record<string, number>>): string {
  const cells = Object.entries(figures)
    .filter(([, value]) => typeof value === "number")
    .map(([name, value]) => `<div class="figure"><b>${Number.isInteger(value) ? value : value.toFixed(1)}</b><span>${escape(label(name))}</span></div>`);
  return `<h2>Time and tokens</h2><div class="figures">${cells.join("")}</div>`;
}

/** `ttftMs` is "ttft, ms"; `nPrompt` is "prompt tokens". */
export function label(name: string): string {
  const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const counted = /^n (.+)$/.exec(words);
  return counted ? `${counted[1]} tokens` : words.replace(/ ms$/, ", ms");
}

function snippets(found: readonly Snippet[], marks: Marks, sourceOf: SourceOf): string {
  if (found.length === 0) {
    return "<h2>What the model was shown</h2><p>Nothing but the text at the cursor.</p>";
  }
  const items = found.map((each) => snippet(each, marks, sourceOf, ""));
  return `<h2>What the model was shown</h2>${items.join("")}`;
}

function dropped(found: readonly DroppedSnippet[], marks: Marks, sourceOf: SourceOf): string {
  if (found.length === 0) {
    return "";
  }
  const items = found.map((each) => snippet(each, marks, sourceOf, `<span class="reason">${escape(each.reason)}</span>`));
  return `<h2>What was left out</h2>${items.join("")}`;
}

function snippet(each: Snippet, marks: Marks, sourceOf: SourceOf, note: string): string {
  const { name, uri } = sourceOf(each.path);
  const origin = escape(ORIGINS[each.origin] ?? each.origin.replaceAll("_", " "));
  const size = `${each.endByte - each.startByte} bytes`;
  const score = each.score ? ` · score ${each.score.toFixed(3)}` : "";
  const links = uri === undefined ? "" : `<span class="links">${markLinks(uri, marks)}</span>`;
  return `<details><summary><code>${escape(name)}</code> <span class="soft">${origin}${score} · ${size}</span> ${note}${links}</summary><pre>${escape(each.text)}</pre></details>`;
}

function markLinks(uri: string, marks: Marks): string {
  const link = (mark: string, text: string): string => {
    const command = `command:${MARK}?${encodeURIComponent(JSON.stringify([mark, uri]))}`;
    return `<a href="${escape(command)}">${text}</a>`;
  };
  return [
    marks.pinned.includes(uri) ? link("unpin", "Unpin") : link("pin", "Pin"),
    marks.banned.includes(uri) ? link("unban", "Allow") : link("ban", "Ban"),
  ].join(" ");
}
