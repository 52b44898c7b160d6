"""Summaries as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from benchmarks.summary import RunInfo, Summary, Table, heading, show, tally

MARKS = {"ahead": "✓", "level": "=", "behind": "✗"}


def document(summaries: Mapping[str, Summary]) -> str:
    """All summaries, first how many comparisons ended how."""
    verdicts = [verdict for summary in summaries.values() for verdict in summary.verdicts]
    counts = ", ".join(f"{MARKS[o]} {n} {o}" for o, n in tally(verdicts).items())
    parts = ["## midfill: benchmarks", f"Comparisons with peers, anchors and goals: {counts}."]
    return "\n\n".join([*parts, *(render(summary) for summary in summaries.values())])


def render(summary: Summary) -> str:
    """The whole summary: headline, verdicts, tables, notes, what it was made with."""
    title = f"### {_text(summary.title)} (N = {summary.n:,})"
    notes = [_text(note) for note in summary.notes]
    return "\n\n".join(
        [title, *_findings(summary, summary.tables), *notes, _text(provenance(summary.run))]
    )


def excerpt(summary: Summary, tables: Sequence[Table]) -> str:
    """Headline, all verdicts, some of the tables, and what it was made with."""
    return "\n\n".join([*_findings(summary, tables), _text(provenance(summary.run))])


def table(item: Table) -> str:
    """A table without its title."""
    lines = [
        "| " + " | ".join(_text(heading(column)) for column in item.columns) + " |",
        "|" + "|".join("---" if c.unit == "text" else "--:" for c in item.columns) + "|",
    ]
    for row in item.rows:
        cells = [_text(show(cell, c.unit)) for cell, c in zip(row, item.columns, strict=True)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def provenance(run: RunInfo) -> str:
    """What a run was made with, in one line."""
    options = ", ".join(f"{name} {option(value)}" for name, value in run.options.items())
    model = f"{run.model} (sha256 {run.model_sha256[:16]}…) · " if run.model else ""
    return (
        f"`{run.benchmark}` · {model}commit {run.commit} · {run.machine}, "
        f"load {run.machine.load_1min:g} · {run.started[:10]} · {options}"
    )


def option(setting: object) -> str:
    """The value of an option as text."""
    return " ".join(map(str, setting)) if isinstance(setting, list) else str(setting)


def _findings(summary: Summary, tables: Sequence[Table]) -> list[str]:
    parts = [_text(summary.headline)]
    if summary.verdicts:
        lines = [f"- {MARKS[v.outcome]} {v.outcome}: {_text(v.text)}" for v in summary.verdicts]
        parts.append("\n".join(lines))
    for item in tables:
        parts += [f"**{_text(item.title)}**", table(item)]
        if item.note:
            parts.append(_text(item.note))
    return parts


def _text(text: str) -> str:
    """Text on one line in which nothing starts a tag, a comment or a cell."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(text.split())).replace("|", "\\|")
