"""Plots as SVG."""

from __future__ import annotations

import math
import sys
import warnings
from xml.etree import ElementTree

import pytest

from benchmarks.render import plots
from benchmarks.summary import Plot, Reference, Series
from lsp_server.errors import UsageError
from tests.benchmarks import makers

_SVG = "{http://www.w3.org/2000/svg}"


def _parse(svg: str) -> ElementTree.Element:
    named = svg.replace(
        "<svg ",
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ',
        1,
    )
    return ElementTree.fromstring(named)


def _texts(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in _parse(svg).iter(f"{_SVG}text")]


def _n_paths(svg: str, colour: str) -> int:
    return sum(f"var(--{colour}," in p.get("style", "") for p in _parse(svg).iter(f"{_SVG}path"))


_KINDS = [makers.line_plot, makers.step_plot, makers.bar_plot, makers.reliability_plot]


@pytest.mark.parametrize("make", _KINDS)
def test_every_kind(make: object) -> None:
    """Every kind of plot is sound XML with title, description and the colours of the page."""
    plot: Plot = make()  # type: ignore[operator]
    svg = plots.draw(plot, "p1")
    root = _parse(svg)
    assert root.get("role") == "img"
    title, description = root[0], root[1]
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == plot.title
    assert description.text == plots.describe(plot)
    assert plot.y_label in _texts(svg)
    assert _n_paths(svg, "s1") > 0
    assert "metadata" not in svg
    assert "font-size" in svg
    assert "font-family" not in svg


def test_same_plot_same_bytes() -> None:
    """Ids and all else depend on nothing but the plot and its name."""
    first = plots.draw(makers.line_plot(), "p1")
    assert plots.draw(makers.line_plot(), "p1") == first
    assert plots.draw(makers.line_plot(), "p2") != first


def test_ids_of_two_plots_differ() -> None:
    """Two drawings on one page do not take each other's clip paths and markers."""
    ids = [
        {e.get("id") for e in _parse(plots.draw(makers.line_plot(), name)).iter() if e.get("id")}
        for name in ("a-1", "a-2")
    ]
    assert len(ids[0]) > 5
    assert not ids[0] & ids[1]


def test_percent_and_logarithmic_axes() -> None:
    """Shares are labelled in percent, and a logarithmic axis in plain numbers."""
    texts = _texts(plots.draw(makers.step_plot(), "p"))
    assert {"0 %", "100 %", "100", "1,000"} <= set(texts)


def test_levels_are_drawn_and_labelled() -> None:
    """Every level to compare with has a dashed line, a label and its value in the legend."""
    references = (Reference(name="trees", y=0.751), Reference(name="log-prob", y=0.709))
    plot = makers.line_plot(references=references, y_unit="ratio")
    svg = plots.draw(plot, "p")
    assert {"trees", "log-prob"} <= set(_texts(svg))
    assert svg.count("stroke-dasharray: 5.5,3.3") == 2
    assert ("key level", "trees: 0.751") in plots.legend(plot)
    assert "trees at 0.75" in plots.describe(plot)


def test_levels_of_bars() -> None:
    """Bars are compared with an upright line."""
    plot = makers.bar_plot(references=(Reference(name="goal", y=0.5),))
    assert "goal" in _texts(plots.draw(plot, "p"))


def test_bars_show_their_values() -> None:
    """Each bar has its label and its value; midfill's differs in colour from its peers'."""
    svg = plots.draw(makers.bar_plot(), "p")
    texts = _texts(svg)
    assert {"midfill", "one peer", "41.0 %", "30.0 %"} <= set(texts)
    assert (_n_paths(svg, "s1"), _n_paths(svg, "s7")) == (1, 3)


def test_bar_labels_without_names() -> None:
    """Bars whose labels do not fit are labelled by their place."""
    plot = makers.bar_plot(labels=("only one",), x_unit="count")
    assert plots.bar_labels(plot) == {0.0: "0", 1.0: "1", 2.0: "2", 3.0: "3"}
    shifted = makers.bar_plot(
        labels=("a", "b"), series=(Series(name="s", x=(5.0, 2.0), y=(0.1, 0.2)),)
    )
    assert plots.bar_labels(shifted) == {2.0: "a", 5.0: "b"}


def test_intervals_are_bands() -> None:
    """A series with an interval has a band, one without has none."""
    svgs = [
        plots.draw(makers.line_plot(series=(series,)), "p") for series in makers.line_plot().series
    ]
    assert ["fill-opacity: 0.14" in svg for svg in svgs] == [True, False]


@pytest.mark.parametrize(
    "series",
    [
        Series(name="one point", x=(1.0,), y=(0.0,)),
        Series(name="equal", x=(1.0, 1.0), y=(0.5, 0.5)),
        Series(name="gaps", x=(1.0, math.nan, 3.0), y=(0.1, 0.2, math.nan)),
        Series(name="below zero", x=(-2.0, 3.0), y=(-0.5, 0.5)),
        Series(name="endless", x=(1.0, 2.0), y=(math.inf, 0.5)),
        Series(name="unknown interval", x=(1.0,), y=(0.5,), low=(math.nan,), high=(math.nan,)),
    ],
)
@pytest.mark.parametrize("kind", ["line", "step", "bar"])
def test_awkward_numbers(series: Series, kind: str) -> None:
    """Few, equal, missing and negative numbers are drawn without a complaint."""
    plot = makers.line_plot(series=(series,), kind=kind, labels=(), y_unit="number")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _parse(plots.draw(plot, "p"))


def test_not_positive_on_a_logarithmic_axis() -> None:
    """What has no logarithm is left out; when nothing is left there is nothing to draw."""
    zero = Series(name="s", x=(0.0,), y=(0.5,))
    assert not plots.is_drawable(makers.step_plot(series=(zero,)))
    assert plots.is_drawable(makers.step_plot(series=(zero,), log_x=False))
    both = Series(name="s", x=(0.0, 10.0), y=(0.5, 1.0))
    _parse(plots.draw(makers.step_plot(series=(both,)), "p"))


def test_dollars_and_other_scripts() -> None:
    """Text is drawn as it is: no formulas, and no complaint about glyphs."""
    plot = makers.line_plot(x_label="$x^2$ \u65e5\u672c\u8a9e <b>", references=())
    assert "$x^2$ \u65e5\u672c\u8a9e <b>" in _texts(plots.draw(plot, "p"))


def test_own_settings_of_matplotlib_do_not_count() -> None:
    """A reader's matplotlib settings neither change the drawing nor are changed by it."""
    import matplotlib

    expected = plots.draw(makers.line_plot(), "p")
    with matplotlib.rc_context({"font.size": 31.0, "axes.facecolor": "red"}):
        assert plots.draw(makers.line_plot(), "p") == expected
        assert matplotlib.rcParams["font.size"] == 31.0


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the error names it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError) as raised:
        plots.draw(makers.line_plot(), "p")
    assert raised.value.code == "extra_missing"
    assert "benchmarks" in raised.value.hint
