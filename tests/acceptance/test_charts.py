"""Bar charts as HTML and SVG."""

from __future__ import annotations

import re

import pytest

from lsp_server.acceptance.charts import Bar, chart


def bars(*values: float) -> list[Bar]:
    """Bars with a label each."""
    return [Bar(f"bar {n}", f"n{n}", (("bar", value),)) for n, value in enumerate(values)]


def heights(text: str) -> list[float]:
    """Of all bars."""
    return [float(found) for found in re.findall(r'<rect [^>]*height="([\d.]+)"', text)]


def labels(text: str, place: str) -> list[str]:
    """What stands at an axis."""
    (inner,) = re.findall(rf'<div class="{place}[^"]*">(.*?)</div>', text)
    return re.findall(r"<span>([^<]*)</span>", inner)


@pytest.mark.parametrize(
    ("highest", "marks"),
    [
        (1, ["2", "1", "0"]),
        (2, ["2", "1", "0"]),
        (7, ["8", "4", "0"]),
        (10, ["10", "5", "0"]),
        (11, ["20", "10", "0"]),
        (143, ["200", "100", "0"]),
        (8200, ["10,000", "5,000", "0"]),
    ],
)
def test_the_axis_of_counts_ends_at_a_round_number(highest: int, marks: list[str]) -> None:
    """It has a whole number in its middle, and bars are in proportion to it."""
    text = chart("counts", bars(highest, 0))
    assert labels(text, "y") == marks
    top = int(marks[0].replace(",", ""))
    assert heights(text) == [pytest.approx(160 * highest / top, abs=0.1), 0.0]


def test_shares_are_of_a_hundred_percent() -> None:
    """However small they are."""
    text = chart("shares", bars(0.25), is_share=True)
    assert labels(text, "y") == ["100%", "50%", "0%"]
    assert heights(text) == [40.0]


def test_bars_lie_over_each_other() -> None:
    """Each layer is drawn as it says, and the legend says what they are."""
    bar = Bar("<b>", "x", (("under", 4.0), ("bar", 1.0)))
    text = chart("both", [bar], legend=(("under", "all"), ("bar", "some & more")))
    assert re.findall(r'<rect class="(\w+)"', text) == ["under", "bar"]
    assert heights(text) == [160.0, 40.0]
    assert "<title>&lt;b&gt;</title>" in text
    assert '<i class="bar"></i>some &amp; more' in text
    assert 'aria-label="both"' in text


@pytest.mark.parametrize(
    ("n", "place", "wanted"),
    [
        (1, "x each", ["n0"]),
        (3, "x each", ["n0", "n1", "n2"]),
        (6, "x some", ["n0", "n1", "n2", "n3", "n5"]),
        (60, "x some", ["n0", "n14", "n29", "n44", "n59"]),
    ],
)
def test_a_few_labels_stand_below_many_bars(n: int, place: str, wanted: list[str]) -> None:
    """The first and the last are among them; below a few bars each has its own."""
    assert labels(chart("days", bars(*[1.0] * n)), place) == wanted


def test_each_label_stands_below_its_bar() -> None:
    """Where that is wanted."""
    assert labels(chart("steps", bars(1, 2, 3), every_label=True), "x each") == ["n0", "n1", "n2"]


def test_a_line_has_gaps_where_nothing_is_known() -> None:
    """A single point between two gaps is not drawn."""
    line = [0.5, 1.0, None, 0.5, None, 0.0, 0.25, 0.5]
    text = chart("rates", bars(*[1.0] * 8), is_share=True, line=line)
    points = re.findall(r'<polyline class="line" points="([^"]*)"', text)
    assert points == ["45.0,80.0 135.0,0.0", "495.0,160.0 585.0,120.0 675.0,80.0"]


def test_nothing_makes_no_chart() -> None:
    """Neither without bars nor where all are zero."""
    assert chart("none", []) == ""
    assert chart("zero", bars(0, 0)) == ""
