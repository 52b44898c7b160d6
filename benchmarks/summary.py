"""What a benchmark found, in a form that a terminal, Markdown and the HTML report can all draw."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

import msgspec

from benchmarks.figures import Figure
from benchmarks.machine import Machine

Unit = Literal["text", "count", "percent", "ms", "ratio", "rate", "number"]
Cell = Figure | float | int | str | None
Outcome = Literal["ahead", "level", "behind"]


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was made with; the first line of its results file.

    Args:
        benchmark: name of the benchmark.
        options: everything that changes the results, the seed among them.
        model: id of the model; "" where none is used.
        model_sha256: hash of the model file; "" where none is used.
        code: fingerprint of the measured code, see machine.code_fingerprint.
        commit: commit of the checkout.
        machine: where it ran.
        started: date and time in UTC, ISO 8601.
    """

    benchmark: str
    options: dict[str, str | int | float | bool | list[str] | None]
    model: str
    model_sha256: str
    code: str
    commit: str
    machine: Machine
    started: str


class Column(msgspec.Struct, frozen=True):
    """A column of a table; a share is kept as 0 to 1 and shown as ``percent``."""

    name: str
    unit: Unit = "text"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table.

    Args:
        title: one line.
        columns: their names and units.
        rows: one cell a column; None is shown as a dash.
        note: what a reader must know to read it right.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a plot; ``low`` and ``high`` are its interval where it is known."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A published or measured level to compare with, drawn as a dashed line at ``y``."""

    name: str
    y: float


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """A plot.

    Args:
        title: one line.
        kind: ``line``, ``step`` (distribution functions) or ``bar`` (x is the place of a bar,
            labelled by ``labels``).
        x_label: name of the x axis.
        y_label: name of the y axis.
        series: what is drawn.
        x_unit: unit of x; ``percent`` for shares of 0 to 1.
        y_unit: unit of y.
        log_x: whether x is drawn on a logarithmic scale.
        references: levels to compare with.
        labels: names of the bars.
        diagonal: whether y = x is drawn (reliability diagrams).
        note: what a reader must know to read it right.
    """

    title: str
    kind: Literal["line", "step", "bar"]
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_unit: Unit = "number"
    y_unit: Unit = "number"
    log_x: bool = False
    references: tuple[Reference, ...] = ()
    labels: tuple[str, ...] = ()
    diagonal: bool = False
    note: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How a figure stands against a peer, an anchor or a goal.

    Args:
        text: one sentence with both figures.
        outcome: ``ahead``, ``level`` (the interval holds both) or ``behind``.
    """

    text: str
    outcome: Outcome


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of one run.

    Args:
        title: name for people.
        headline: the main finding in one or two sentences, with N and interval.
        run: what it was made with.
        n: how many opportunities, problems or requests.
        tables: in order of interest.
        plots: in order of interest.
        verdicts: against peers, anchors and goals; the bad ones too.
        notes: method and limits, one paragraph each.
    """

    title: str
    headline: str
    run: RunInfo
    n: int
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()


def tally(verdicts: Sequence[Verdict]) -> dict[Outcome, int]:
    """How many verdicts there are of each outcome, those that do not occur too."""
    return {
        outcome: sum(verdict.outcome == outcome for verdict in verdicts)
        for outcome in get_args(Outcome)
    }


def show(cell: Cell, unit: Unit = "text") -> str:
    """A cell as text: figures with their interval in brackets."""
    around = interval(cell, unit)
    return f"{value(cell, unit)} ({around})" if around else value(cell, unit)


def value(cell: Cell, unit: Unit = "text") -> str:
    """A cell as text without its interval; what is not known is a dash."""
    number = cell.value if isinstance(cell, Figure) else cell
    if number is None or (isinstance(number, float) and math.isnan(number)):
        return "–"
    if isinstance(number, str):
        return number
    if unit == "percent":
        text = f"{100 * number:.1f} %"
    elif unit in ("ms", "count"):
        text = f"{number:,.0f}"
    elif unit == "ratio":
        text = f"{number:.2f}"
    elif unit == "rate":
        text = f"{number:,.1f}"
    else:
        text = f"{number:,}" if isinstance(number, int) else f"{number:.3f}"
    return text.replace("-", "−")


def interval(cell: Cell, unit: Unit = "text") -> str:
    """The interval of a figure as ``low–high`` without the unit, or "" where none is known."""
    if not isinstance(cell, Figure) or any(
        math.isnan(number) for number in (cell.value, cell.low, cell.high)
    ):
        return ""
    low, high = (value(end, unit).removesuffix(" %") for end in (cell.low, cell.high))
    # A dash beside a minus sign could be taken for another one.
    return f"{low} to {high}" if cell.low < 0 else f"{low}–{high}"


def heading(column: Column) -> str:
    """The name of a column, with ``ms`` where its cells do not say so themselves."""
    if column.unit != "ms" or re.search(r"\bms\b", column.name):
        return column.name
    return f"{column.name} (ms)"


def decode(data: bytes) -> Summary:
    """A summary from its JSON, where a number that is not known (NaN) is null.

    Raises:
        msgspec.ValidationError: it is JSON, but no summary.
        msgspec.DecodeError: it is no JSON.
    """
    summary = msgspec.convert(_unknown_numbers(msgspec.json.decode(data)), Summary)
    for table in summary.tables:
        for row in table.rows:
            if len(row) != len(table.columns):
                raise msgspec.ValidationError(f"a row of {table.title!r} has {len(row)} cells")
    for plot in summary.plots:
        for series in plot.series:
            lengths = {len(series.x), len(series.y)}
            lengths |= {len(ends) for ends in (series.low, series.high) if ends}
            if len(lengths) != 1 or bool(series.low) != bool(series.high):
                raise msgspec.ValidationError(f"{series.name!r} of {plot.title!r} is uneven")
    return summary


def _unknown_numbers(item: Any) -> Any:
    """The same JSON value with NaN for null in figures and in the numbers of series."""
    if isinstance(item, list):
        return [_unknown_numbers(part) for part in item]
    if not isinstance(item, dict):
        return item
    found = {name: _unknown_numbers(part) for name, part in item.items()}
    if found.keys() == set(Figure.__struct_fields__):
        return {name: math.nan if part is None else part for name, part in found.items()}
    for name in ("x", "y", "low", "high"):
        if isinstance(found.get(name), list):
            found[name] = [math.nan if part is None else part for part in found[name]]
    return found
