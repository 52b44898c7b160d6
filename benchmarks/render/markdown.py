"""Summaries as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from benchmarks.summary import RunInfo, Summary, Table, Verdict, heading, show, tally

MARKS = {"ahead": "✓", "level": "=", "behind": "✗"}
_MAX_WINS = 6


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
    """Headline, verdicts, some of the tables, and what it was made with.

    Many comparisons that midfill wins are only counted; the others always stand there in full.
    """
    return "\n\n".join(
        [*_findings(summary, tables, n_wins=_MAX_WINS), _text(provenance(summary.run))]
    )


def brief(summary: Summary) -> str:
    """Headline, the comparisons that midfill loses, how the others ended, and the run."""
    run = summary.run
    model = f"{run.model} (sha256 {run.model_sha256[:16]}…), " if run.model else ""
    made = f"{model}N = {summary.n:,}, commit {run.commit}, {run.machine}, {run.started[:10]}"
    counts = [f"{MARKS[o]} {n} {o}" for o, n in tally(summary.verdicts).items() if n]
    ended = f"Comparisons: {', '.join(counts)}. " if counts else ""
    lost = [verdict for verdict in summary.verdicts if verdict.outcome == "behind"]
    parts = [_text(summary.headline)]
    if lost:
        parts.append("\n".join(_verdicts(lost, None)))
    return "\n\n".join([*parts, _text(f"{ended}{made}.")])


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


def _findings(summary: Summary, tables: Sequence[Table], n_wins: int | None = None) -> list[str]:
    parts = [_text(summary.headline)]
    if summary.verdicts:
        parts.append("\n".join(_verdicts(summary.verdicts, n_wins)))
    for item in tables:
        parts += [f"**{_text(item.title)}**", table(item)]
        if item.note:
            parts.append(_text(item.note))
    return parts


def _verdicts(verdicts: Sequence[Verdict], n_wins: int | None) -> list[str]:
    """A line for each; above ``n_wins`` wins, one line for all of those."""
    wins = [verdict for verdict in verdicts if verdict.outcome == "ahead"]
    counted = n_wins is not None and len(wins) > n_wins
    shown = [verdict for verdict in verdicts if not counted or verdict.outcome != "ahead"]
    lines = [f"- {MARKS[v.outcome]} {v.outcome}: {_text(v.text)}" for v in shown]
    if counted:
        rest = "; the others:" if shown else "."
        lines.insert(0, f"- {MARKS['ahead']} ahead: {len(wins)} of {len(verdicts)}{rest}")
    return lines


def _text(text: str) -> str:
    """Text on one line in which nothing starts a tag, a comment or a cell."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(text.split())).replace("|", "\\|")
