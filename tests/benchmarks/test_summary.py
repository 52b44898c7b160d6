"""Summaries: cells as text, and their way through JSON."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from benchmarks import options
from benchmarks.figures import Figure
from benchmarks.summary import (
    Cell,
    Column,
    Series,
    Table,
    Unit,
    Verdict,
    decode,
    heading,
    interval,
    show,
    tally,
)
from tests.benchmarks import makers


@pytest.mark.parametrize(
    ("cell", "unit", "text"),
    [
        (None, "percent", "–"),
        (math.nan, "ms", "–"),
        ("full", "text", "full"),
        ("none", "percent", "none"),
        (0.4567, "percent", "45.7 %"),
        (1234.4, "ms", "1,234"),
        (12345, "count", "12,345"),
        (12345, "text", "12,345"),
        (1.005, "ratio", "1.00"),
        (0.70949, "number", "0.709"),
        (-0.041, "percent", "−4.1 %"),
        (Figure(value=0.5, low=0.4, high=0.6, n=9), "percent", "50.0 % (40.0–60.0)"),
        (Figure(value=210.4, low=99.6, high=1500, n=9), "ms", "210 (100–1,500)"),
        (Figure(value=-1.0, low=-2.0, high=0.5, n=9), "ratio", "−1.00 (−2.00 to 0.50)"),
        (Figure(value=0.5, low=math.nan, high=math.nan, n=1), "percent", "50.0 %"),
        (Figure(value=math.nan, low=math.nan, high=math.nan, n=0), "ms", "–"),
    ],
)
def test_show(cell: Cell, unit: Unit, text: str) -> None:
    """A cell is shown in its unit, with its interval, and a dash where nothing is known."""
    assert show(cell, unit) == text


def test_interval_alone() -> None:
    """Only figures have an interval."""
    assert interval(Figure(value=0.5, low=0.25, high=0.75, n=4), "percent") == "25.0–75.0"
    assert interval(0.5, "percent") == ""


def test_heading_names_milliseconds_once() -> None:
    """The unit that cells do not show stands in the head, unless the name has it."""
    columns = [Column("p50", "ms"), Column("p50 ms", "ms"), Column("A-line", "percent")]
    assert [heading(column) for column in columns] == ["p50 (ms)", "p50 ms", "A-line"]


def test_tally_names_every_outcome() -> None:
    """Outcomes that do not occur are counted as none."""
    assert tally([Verdict(text="", outcome="behind")]) == {"ahead": 0, "level": 0, "behind": 1}


def test_saved_summary_is_read_back(tmp_path: Path) -> None:
    """A summary survives its file, unknown numbers and points included."""
    nan = math.nan
    table = Table(
        title="t",
        columns=(Column("x", "ratio"), Column("y", "ratio")),
        rows=((Figure(value=1.0, low=nan, high=nan, n=1), None), (2, "three")),
    )
    series = Series(name="s", x=(1.0, 2.0), y=(nan, 0.5), low=(nan, 0.4), high=(nan, 0.6))
    plots = (makers.line_plot(series=(series,)), makers.bar_plot())
    saved = makers.summary(tables=(table,), plots=plots)
    options.save(saved, tmp_path / "results" / "s.json")
    found = decode((tmp_path / "results" / "s.json").read_bytes())
    # NaN equals nothing, so the texts are compared; NaN and None are both null there.
    assert msgspec.json.encode(found) == msgspec.json.encode(saved)
    cell = found.tables[0].rows[0][0]
    assert isinstance(cell, Figure)
    assert math.isnan(cell.low)
    assert math.isnan(found.plots[0].series[0].y[0])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"tables": (Table(title="Odd", columns=(Column("x"),), rows=((1, 2),)),)}, "'Odd'"),
        (
            {"plots": (makers.line_plot(series=(Series(name="short", x=(1.0,), y=()),)),)},
            "'short' of 'Coverage curve'",
        ),
        (
            {
                "plots": (
                    makers.line_plot(series=(Series(name="half", x=(1.0,), y=(1.0,), low=(0.0,)),)),
                )
            },
            "'half'",
        ),
    ],
)
def test_uneven_summary_is_refused(change: dict[str, object], complaint: str) -> None:
    """Rows and series that do not fit are found on reading, and named."""
    with pytest.raises(msgspec.ValidationError, match=complaint):
        decode(msgspec.json.encode(makers.summary(**change)))
