"""A summary on a terminal."""

from __future__ import annotations

from benchmarks.render.markdown import MARKS, provenance
from benchmarks.summary import Summary, heading, show

_STYLES = {"ahead": "green", "level": "", "behind": "red"}
_UNLIMITED = 100_000


def render(summary: Summary) -> None:
    """Print the whole summary."""
    from rich.console import Console
    from rich.markup import escape
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    unlimited = console.options.update(max_width=_UNLIMITED, width=_UNLIMITED)
    console.print(f"[bold]{escape(summary.title)}[/bold]  {escape(summary.headline)}\n")
    for verdict in summary.verdicts:
        line = f"{MARKS[verdict.outcome]} {verdict.outcome}: {verdict.text}"
        console.print(line, style=_STYLES[verdict.outcome], markup=False)
    for item in summary.tables:
        table = Table(title=Text(item.title, style="italic"), title_justify="left")
        for column in item.columns:
            table.add_column(
                escape(heading(column)),
                justify="left" if column.unit == "text" else "right",
                no_wrap=True,
            )
        for row in item.rows:
            pairs = zip(row, item.columns, strict=True)
            table.add_row(*(escape(show(cell, column.unit)) for cell, column in pairs))
        # As wide as its rows: a figure that is cut off is worse than a line that wraps.
        table.width = Measurement.get(console, unlimited, table).maximum
        console.print()
        console.print(table)
        if item.note:
            console.print(item.note, style="dim", markup=False)
    console.print()
    for note in summary.notes:
        console.print(note, markup=False)
    if summary.plots:
        titles = "; ".join(plot.title for plot in summary.plots)
        console.print(f"Drawn by `python -m benchmarks report`: {titles}.", markup=False)
    console.print(provenance(summary.run), style="dim", markup=False)
