"""A summary as Markdown."""

from __future__ import annotations

from benchmarks.summary import RunInfo, Summary, Table, show

MARKS = {"ahead": "✓", "level": "=", "behind": "✗"}


def render(summary: Summary) -> str:
    """The whole summary: headline, verdicts, tables, notes, what it was made with."""
    parts = [f"### {summary.title}", summary.headline]
    if summary.verdicts:
        parts.append("\n".join(f"- {MARKS[v.outcome]} {v.text}" for v in summary.verdicts))
    for item in summary.tables:
        parts += [f"**{item.title}**", table(item)]
        if item.note:
            parts.append(item.note)
    parts += summary.notes
    parts.append(provenance(summary.run))
    return "\n\n".join(parts)


def table(item: Table) -> str:
    """A table without its title."""
    lines = [
        "| " + " | ".join(column.name for column in item.columns) + " |",
        "|" + "|".join("---" if c.unit == "text" else "--:" for c in item.columns) + "|",
    ]
    for row in item.rows:
        cells = [show(cell, c.unit) for cell, c in zip(row, item.columns, strict=True)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def provenance(run: RunInfo) -> str:
    """What a run was made with, in one line."""
    options = ", ".join(f"{name} {value}" for name, value in run.options.items())
    model = f"{run.model} (sha256 {run.model_sha256[:16]}…) · " if run.model else ""
    return (
        f"`{run.benchmark}` · {model}commit {run.commit} · {run.machine}, "
        f"load {run.machine.load_1min:g} · {run.started[:10]} · {options}"
    )
