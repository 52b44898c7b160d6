"""Plots as inline SVG, drawn by matplotlib; the page gives them its colours and its font."""

from __future__ import annotations

import io
import logging
import math
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.extras import needed
from benchmarks.render.markup import Markup, element
from benchmarks.summary import Plot, Series, Unit, show, value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 440
_HEIGHT = 285
_ROW = 20
_FONT = 12
# Each stands for a variable of the style sheet and is what is seen where there is none.
_COLOURS = {
    "ink": "#1b2330",
    "soft": "#5a6577",
    "grid": "#dde2ea",
    "s1": "#2360c5",
    "s2": "#b9540b",
    "s3": "#0d7f74",
    "s4": "#8440ba",
    "s5": "#b92a5b",
    "s6": "#6f6f10",
    "s7": "#4f5b6b",
}
_SERIES = ("s1", "s2", "s3", "s4", "s5", "s6", "s7")
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)))
_N_MARKED_POINTS = 25
_REFERENCE_CHARS = 38
_LABEL_CHARS = 24


def colour_of(place: int) -> str:
    """The name of the colour of the series at a place."""
    return _SERIES[place % len(_SERIES)]


def is_drawable(plot: Plot) -> bool:
    """Whether a plot has a point that can be drawn."""
    return any(_points(plot, series) for series in plot.series)


def draw(plot: Plot, name: str) -> Markup:
    """A plot as an ``svg`` element; the same plot and name always give the same bytes.

    Args:
        plot: with at least one point, see ``is_drawable``.
        name: beginning of the ids, not used twice on a page.

    Raises:
        UsageError: matplotlib is missing.
    """
    with needed("The report"):
        import matplotlib
        from matplotlib.figure import Figure
    height = _HEIGHT if plot.kind != "bar" else _bar_height(plot)
    buffer = io.StringIO()
    with _style(matplotlib, name):
        # Points of the SVG are 1/72 inch, the unit of font sizes.
        figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
        axes = figure.add_subplot()
        _DRAW[plot.kind](axes, plot)
        # The reader's browser chooses the glyphs, so it does not matter which are missing here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            figure.savefig(buffer, format="svg", transparent=True)
    return _inline(buffer.getvalue(), plot, name)


def describe(plot: Plot) -> str:
    """What is to be seen, for those who cannot see it."""
    kinds = {"line": "Line plot", "step": "Step plot", "bar": "Bar chart"}
    names = ", ".join(series.name for series in plot.series)
    text = f"{kinds[plot.kind]} of {plot.y_label} by {plot.x_label or 'category'} for {names}."
    if plot.references:
        levels = ", ".join(f"{r.name} at {show(r.y, plot.y_unit)}" for r in plot.references)
        text += f" Dashed for comparison: {levels}."
    return text


@contextmanager
def _style(matplotlib: Any, name: str) -> Iterator[None]:
    defaults = {k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"}
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # settings that matplotlib itself calls outdated
        context = matplotlib.rc_context(defaults)
        context.__enter__()
    matplotlib.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": name,
            "text.parse_math": False,
            "font.family": "DejaVu Sans",  # comes with matplotlib: the same widths everywhere
            "font.size": _FONT,
            "axes.labelsize": _FONT,
            "axes.labelcolor": _COLOURS["soft"],
            "axes.edgecolor": _COLOURS["soft"],
            "axes.linewidth": 0.8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.grid": True,
            "grid.color": _COLOURS["grid"],
            "grid.linewidth": 0.8,
            "xtick.color": _COLOURS["soft"],
            "ytick.color": _COLOURS["soft"],
            "xtick.labelsize": _FONT - 1,
            "ytick.labelsize": _FONT - 1,
            "xtick.major.size": 3.5,
            "ytick.major.size": 0,
            "xtick.minor.size": 0,
            "lines.linewidth": 2,
            "lines.markersize": 5,
            "path.simplify": True,
            # In inches; the reader's font may be a little wider than the one measured with.
            "figure.constrained_layout.w_pad": 0.1,
        }
    )
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        context.__exit__(None, None, None)


def _draw_lines(axes: Axes, plot: Plot) -> None:
    if plot.log_x:
        axes.set_xscale("log")
    for place, series in enumerate(plot.series):
        points = _points(plot, series)
        if not points:
            continue
        x, y, low, high = zip(*points, strict=True)
        look: dict[str, Any] = {
            "color": _COLOURS[colour_of(place)],
            "linestyle": _DASHES[place // len(_SERIES) % len(_DASHES)],
        }
        band: dict[str, Any] = {"color": look["color"], "alpha": 0.14, "linewidth": 0}
        if plot.kind == "step":
            # A distribution function rises from nothing at its first value.
            axes.step((x[0], *x), (min(0.0, y[0]), *y), where="post", **look)
        else:
            marker = "o" if len(x) <= _N_MARKED_POINTS else None
            axes.plot(x, y, marker=marker, markeredgewidth=0, **look)
        if series.low:
            steps: Literal["post"] | None = "post" if plot.kind == "step" else None
            axes.fill_between(x, low, high, step=steps, **band)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    _limits(axes, plot)
    if plot.diagonal:
        # Straight on linear axes only, and a reliability diagram has no others.
        axes.axline((0, 0), slope=1, color=_COLOURS["soft"], linewidth=1, linestyle=(0, (2, 2)))
    _format_axis(axes.xaxis, plot.x_unit, log=plot.log_x)
    _format_axis(axes.yaxis, plot.y_unit)
    _level_lines(axes, plot)


def _limits(axes: Axes, plot: Plot) -> None:
    points = [point for series in plot.series for point in _points(plot, series)]
    xs = [x for x, *_ in points]
    ys = [end for _, *ends in points for end in ends if not math.isnan(end)]
    ys += [reference.y for reference in plot.references]
    if plot.diagonal:
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal", adjustable="box")
        return
    if plot.x_unit == "percent" and min(xs) >= 0 and max(xs) > 0.8:
        axes.set_xlim(0, 1.005)
    if min(ys) >= 0:
        top = max(ys) * 1.06 or 1.0
        if plot.kind == "step" or (plot.y_unit == "percent" and max(ys) <= 1):
            top = 1.015 if plot.kind == "step" or top > 0.85 else top
        # From zero, unless all differences would drown: then the eye needs them larger.
        bottom = 0.0 if plot.kind == "step" or min(ys) < 0.6 * max(ys) else min(ys) * 0.96
        axes.set_ylim(bottom, top)


def _level_lines(axes: Axes, plot: Plot) -> None:
    low, high = axes.get_ylim()
    step = 1.25 * _FONT / (_HEIGHT - 70) * (high - low)  # what the label of a level needs
    levels = sorted(plot.references, key=lambda r: r.y)
    side = _emptier_side(axes, plot, step)
    free = low
    for number, level in enumerate(levels):
        axes.axhline(level.y, color=_COLOURS["soft"], linewidth=1.1, linestyle=(0, (5, 3)))
        crowded = number + 1 < len(levels) and levels[number + 1].y - level.y < 1.2 * step
        below = crowded and level.y - 1.15 * step >= free
        place = level.y - 0.15 * step if below else max(level.y + 0.15 * step, free)
        axes.annotate(
            _short(level.name),
            (0.995 if side == "right" else 0.012, place),
            xycoords=axes.get_yaxis_transform(),
            ha=side,
            va="top" if below else "bottom",
            fontsize=_FONT - 1.5,
            color=_COLOURS["soft"],
        )
        free = place if below else place + step


def _emptier_side(axes: Axes, plot: Plot, step: float) -> Literal["left", "right"]:
    """The half of the plot in which fewer points come near a level."""
    to_pixels = axes.transData.transform
    left, right = (axes.transAxes.transform((share, 0))[0] for share in (0, 1))
    n_near = {"left": 0, "right": 0}
    for series in plot.series:
        for x, y, *_ in _points(plot, series):
            if any(-1.5 * step < y - level.y < 2 * step for level in plot.references):
                n_near["left" if 2 * to_pixels((x, y))[0] < left + right else "right"] += 1
    return "left" if n_near["left"] < n_near["right"] else "right"


def _draw_bars(axes: Axes, plot: Plot) -> None:
    labels = bar_labels(plot)
    places = {x: number for number, x in enumerate(labels)}
    width = 0.78 / len(plot.series)
    ours = [label.lower().startswith("midfill") for label in labels.values()]
    ends = [0.0]
    texts: list[tuple[float, float, str]] = []
    for number, series in enumerate(plot.series):
        for x, y, low, high in _points(plot, series):
            place = places[x] - 0.39 + (number + 0.5) * width
            single = len(plot.series) == 1
            other = single and any(ours) and not ours[places[x]]
            colour = _COLOURS["s7" if other else colour_of(number)]
            axes.barh(place, y, height=width * 0.86, color=colour, alpha=0.55 if other else 0.88)
            if not math.isnan(low + high):
                axes.plot([low, high], [place, place], color=_COLOURS["ink"], linewidth=1.2)
            reach = y if math.isnan(high) else max(y, high)
            texts.append((reach, place, value(y, plot.y_unit)))
            ends += [reach, y if math.isnan(low) else low]
    ends += [reference.y for reference in plot.references]
    span = max(ends) - min(ends) or 1.0
    axes.set_xlim(min(ends) - (0.05 * span if min(ends) < 0 else 0), max(ends) + 0.17 * span)
    for reach, place, text in texts:
        axes.annotate(
            text,
            (reach, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=_FONT - 1,
            color=_COLOURS["ink"],
        )
    axes.set_yticks(range(len(labels)), [_wrapped(label) for label in labels.values()])
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.tick_params(axis="y", labelcolor=_COLOURS["ink"])
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(plot.y_label)
    _format_axis(axes.xaxis, plot.y_unit)
    _upright_lines(axes, plot)


def _upright_lines(axes: Axes, plot: Plot) -> None:
    low, high = axes.get_xlim()
    ordered = sorted(plot.references, key=lambda r: r.y)
    for row, reference in enumerate(reversed(ordered)):
        axes.axvline(reference.y, color=_COLOURS["soft"], linewidth=1.1, linestyle=(0, (5, 3)))
        share = (reference.y - low) / (high - low)
        axes.annotate(
            _short(reference.name),
            (reference.y, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 3 + row * (_FONT + 2)),
            textcoords="offset points",
            ha="left" if share < 0.3 else "right" if share > 0.7 else "center",
            va="bottom",
            fontsize=_FONT - 1.5,
            color=_COLOURS["soft"],
        )


_DRAW: dict[str, Callable[[Axes, Plot], None]] = {
    "line": _draw_lines,
    "step": _draw_lines,
    "bar": _draw_bars,
}


def bar_labels(plot: Plot) -> dict[float, str]:
    """The label of every place of a bar plot, from the lowest place on."""
    places = sorted({x for series in plot.series for x in series.x if math.isfinite(x)})
    names = plot.labels if len(plot.labels) == len(places) else ()
    return {x: names[number] if names else value(x, plot.x_unit) for number, x in enumerate(places)}


def _bar_height(plot: Plot) -> int:
    labels = bar_labels(plot).values()
    rows = sum(max(len(plot.series), _wrapped(label).count("\n") + 1) + 0.4 for label in labels)
    return round(56 + rows * _ROW + len(plot.references) * (_FONT + 2))


def _points(plot: Plot, series: Series) -> list[tuple[float, float, float, float]]:
    """x, y and the interval's ends (NaN where there is none) of what can be drawn."""
    unknown = (math.nan,) * len(series.x)
    quadruples = zip(series.x, series.y, series.low or unknown, series.high or unknown, strict=True)
    return [
        (x, y, low, high)
        for x, y, low, high in quadruples
        if math.isfinite(x) and math.isfinite(y) and not (plot.log_x and x <= 0)
    ]


def _format_axis(axis: Any, unit: Unit, *, log: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if log:
        low, high = axis.get_view_interval()
        steps = (1.0, 2.0, 5.0) if high / max(low, 1e-12) < 200 else (1.0,)
        axis.set_major_locator(LogLocator(subs=steps))
        axis.set_minor_formatter(NullFormatter())

    def text(tick: float, _place: int | None = None) -> str:
        if unit == "percent":
            return f"{100 * tick:.4g} %"
        return f"{tick:,.0f}" if abs(tick) >= 1000 else f"{tick:.4g}"

    axis.set_major_formatter(FuncFormatter(text))


def _short(name: str) -> str:
    return name if len(name) <= _REFERENCE_CHARS else name[: _REFERENCE_CHARS - 1] + "…"


def _wrapped(label: str) -> str:
    lines = textwrap.wrap(label, _LABEL_CHARS, break_on_hyphens=False) or [""]
    return "\n".join(lines if len(lines) <= 3 else [*lines[:2], lines[2][: _LABEL_CHARS - 1] + "…"])


def _inline(document: str, plot: Plot, name: str) -> Markup:
    """The ``svg`` element of a document, with ids of its own and the page's colours."""
    start = document.index("<svg")
    end_of_tag = document.index(">", start) + 1
    body = document[end_of_tag:].strip()
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<[^>]*>", lambda tag: _own(tag.group(), name), body)
    box = re.search(r'viewBox="([\d. ]+)"', document[start:end_of_tag])
    opening = element(
        "svg",
        viewBox=box.group(1) if box else None,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    ).removesuffix("</svg>")
    title = element("title", plot.title, id=f"{name}-title")
    description = element("desc", describe(plot), id=f"{name}-desc")
    body = re.sub(r">\s+<", "><", body)
    return Markup(f"{opening}{title}{description}{body}")


def _own(tag: str, name: str) -> str:
    """A tag whose ids begin with a name and whose colours are variables."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = tag.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    # How the font is written changed between versions of matplotlib.
    tag = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", tag)
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    for variable, colour in _COLOURS.items():
        tag = tag.replace(colour, f"var(--{variable}, {colour})")
    return tag


def legend(plot: Plot) -> list[tuple[str, str]]:
    """What the colours and dashes mean: pairs of a CSS class and a name."""
    entries: list[tuple[str, str]] = []
    if len(plot.series) > 1 or plot.kind != "bar":
        entries += [
            (f"key {colour_of(place)} dash{place // len(_SERIES) % len(_DASHES)}", series.name)
            for place, series in enumerate(plot.series)
        ]
    for reference in plot.references:
        unit: Unit = "number" if plot.y_unit == "ratio" else plot.y_unit
        entries.append(("key level", f"{reference.name}: {value(reference.y, unit)}"))
    if plot.diagonal:
        entries.append(("key diagonal", "perfect agreement"))
    return entries
