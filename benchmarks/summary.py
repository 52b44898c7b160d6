"""What a benchmark found, in a form that a terminal, Markdown and the HTML report can all draw."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from benchmarks.figures import Figure
from benchmarks.machine import Machine

Unit = Literal["text", "count", "percent", "ms", "ratio", "number"]
Cell = Figure | float | int | str | None


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
    outcome: Literal["ahead", "level", "behind"]


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


def show(cell: Cell, unit: Unit = "text") -> str:
    """A cell as text: figures with their interval in brackets."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Figure):
        if math.isnan(cell.value):
            return "–"
        value = show(cell.value, unit)
        if math.isnan(cell.low):
            return value
        low, high = (show(end, unit).removesuffix(" %") for end in (cell.low, cell.high))
        return f"{value} ({low}–{high})"
    if unit == "percent":
        return f"{100 * cell:.1f} %"
    if unit in ("ms", "count"):
        return f"{cell:,.0f}"
    if unit == "ratio":
        return f"{cell:.2f}"
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.3f}"
