"""Rows of text for people: aligned, never wrapped or cut, bold and coloured on a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is: no markup, no wrapping; colours on a terminal only."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_rows(
    rows: Iterable[Sequence[str]],
    *,
    to: Console,
    styles: Iterable[str] = (),
    first_style: str = "",
    to_the_right: Collection[int] = (),
) -> None:
    """Print rows with their cells aligned; the last cell of a row may be of any length.

    Args:
        rows: the cells of each row.
        to: where to print.
        styles: style of each row, in order; rows beyond have none.
        first_style: style of the first cell of every row.
        to_the_right: numbers of the columns that end at the same place, not begin there.
    """
    from rich.text import Text

    table = [tuple(row) for row in rows]
    n_columns = max((len(row) for row in table), default=0)
    widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(n_columns)]
    row_styles = [*styles, *[""] * len(table)]
    for row, style in zip(table, row_styles, strict=False):
        cells = [
            cell.rjust(width) if number in to_the_right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        line = Text("  ".join(cells).rstrip(), style=style)
        if first_style:
            line.stylize(first_style, 0, len(row[0]))
        to.print(line)
