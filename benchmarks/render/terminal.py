"""A summary on a terminal."""

from __future__ import annotations

from benchmarks.render.markdown import MARKS, provenance
from benchmarks.summary import Summary, show

_STYLES = {"ahead": "green", "level": "", "behind": "red"}


def render(summary: Summary) -> None:
    """Print the whole summary."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{escape(summary.title)}[/bold]  {escape(summary.headline)}\n")
    for verdict in summary.verdicts:
        line = f"{MARKS[verdict.outcome]} {verdict.text}"
        console.print(line, style=_STYLES[verdict.outcome], markup=False)
    for item in summary.tables:
        table = Table(title=item.title, title_justify="left", caption=item.note or None)
        for column in item.columns:
            table.add_column(
                column.name, justify="left" if column.unit == "text" else "right", no_wrap=True
            )
        for row in item.rows:
            pairs = zip(row, item.columns, strict=True)
            table.add_row(*(escape(show(cell, column.unit)) for cell, column in pairs))
        console.print(table)
    for note in summary.notes:
        console.print(note, markup=False)
    console.print(provenance(summary.run), style="dim", markup=False)
