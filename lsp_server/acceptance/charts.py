"""Bar charts as HTML and SVG, which fit any width: bars stretch, and text keeps its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Literal, NamedTuple

_WIDTH, _HEIGHT, _GAP = 720.0, 160.0, 2.0
_MAX_BAR = 48.0
_N_TICKS = 5

# How a bar is drawn: in the main colour, or paler.
Kind = Literal["bar", "under"]

STYLE = """
.chart { margin: .75rem 0 1rem; display: grid; grid-template-columns: auto minmax(0, 1fr);
  column-gap: .5rem; font-size: .75rem; line-height: 1; color: var(--soft);
  font-variant-numeric: tabular-nums; }
.legend { grid-column: 2; display: flex; flex-wrap: wrap; gap: .35rem 1rem; margin-bottom: .9rem; }
.legend i { display: inline-block; width: .75rem; height: .75rem; border-radius: 2px;
  margin-right: .35rem; vertical-align: -.08rem; background: var(--main); }
.legend i.under { background: var(--other); }
.legend i.line { height: 2px; border-radius: 0; vertical-align: .22rem; background: var(--ink); }
.y { display: flex; flex-direction: column; justify-content: space-between; text-align: right;
  margin: -.375rem 0; }
.chart svg { width: 100%; height: 10rem; display: block; overflow: visible; }
.x { grid-column: 2; display: flex; justify-content: space-between; padding-top: .5rem; }
.x.each { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr);
  text-align: center; }
.bar { fill: var(--main); } .under { fill: var(--other); }
.axis, .line { vector-effect: non-scaling-stroke; } .axis { stroke: var(--line); }
polyline.line { fill: none; stroke: var(--ink); stroke-width: 2; stroke-linejoin: round; }
@media (max-width: 30rem) { .x.some span:nth-child(even) { display: none; } }
"""


class Bar(NamedTuple):
    """One bar, or several drawn one over the other.

    Args:
        title: what it stands for, told where the pointer rests on it.
        label: below it.
        layers: how each is drawn, and its value; the widest first.
    """

    title: str
    label: str
    layers: tuple[tuple[Kind, float], ...]


def chart(
    name: str,
    bars: Sequence[Bar],
    *,
    is_share: bool = False,
    every_label: bool = False,
    legend: Sequence[tuple[str, str]] = (),
    line: Sequence[float | None] = (),
) -> str:
    """Bars side by side, from zero up, with an axis at their left; "" where there is nothing.

    Args:
        name: what the chart shows, for those who do not see it.
        bars: from left to right.
        is_share: whether the values are shares, from 0 to 1, and not counts.
        every_label: whether each bar's label is shown; else a few, the first and the last of them.
        legend: class and meaning of what is drawn.
        line: a value for each bar, drawn as a line over them; None where there is none.
    """
    highest = max((value for bar in bars for _, value in bar.layers), default=0.0)
    if not highest:
        return ""
    top = 1.0 if is_share else _round_top(highest)
    marks = ("100%", "50%", "0%") if is_share else (f"{top:,.0f}", f"{top / 2:,.0f}", "0")
    keys = "".join(f'<span><i class="{kind}"></i>{escape(text)}</span>' for kind, text in legend)
    return (
        '<div class="chart">'
        + (f'<div class="legend">{keys}</div>' if keys else "")
        + f'<div class="y">{"".join(f"<span>{mark}</span>" for mark in marks)}</div>'
        + _drawn(name, bars, line, top)
        + _labels([bar.label for bar in bars], every_label=every_label)
        + "</div>"
    )


def _drawn(name: str, bars: Sequence[Bar], line: Sequence[float | None], top: float) -> str:
    step = _WIDTH / len(bars)
    width = min(step - min(_GAP, step / 4), _MAX_BAR)
    parts = [
        f'<line class="axis" x1="0" x2="{_WIDTH:g}" y1="{y:g}" y2="{y:g}"/>'
        for y in (0.0, _HEIGHT / 2, _HEIGHT)
    ]
    for number, bar in enumerate(bars):
        x = number * step + (step - width) / 2
        rects = "".join(
            f'<rect class="{kind}" x="{x:.1f}" width="{width:.1f}" '
            f'y="{_y(value, top):.1f}" height="{_HEIGHT - _y(value, top):.1f}"/>'
            for kind, value in bar.layers
        )
        parts.append(f"<g><title>{escape(bar.title)}</title>{rects}</g>")
    for piece in _pieces(line):
        points = " ".join(f"{(n + 0.5) * step:.1f},{_y(value, top):.1f}" for n, value in piece)
        parts.append(f'<polyline class="line" points="{points}"/>')
    view = f"0 0 {_WIDTH:g} {_HEIGHT:g}"
    return (
        f'<svg viewBox="{view}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(name)}">{"".join(parts)}</svg>'
    )


def _y(value: float, top: float) -> float:
    return _HEIGHT * (1 - value / top)


def _pieces(line: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """The parts of a line between its gaps; a single point is none."""
    pieces: list[list[tuple[int, float]]] = [[]]
    for number, value in enumerate(line):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((number, value))
    return [piece for piece in pieces if len(piece) > 1]


def _labels(labels: Sequence[str], *, every_label: bool) -> str:
    every_label = every_label or len(labels) <= _N_TICKS
    if not every_label:
        last = len(labels) - 1
        labels = [labels[last * tick // (_N_TICKS - 1)] for tick in range(_N_TICKS)]
    spans = "".join(f"<span>{escape(label)}</span>" for label in labels)
    return f'<div class="x {"each" if every_label else "some"}">{spans}</div>'


def _round_top(highest: float) -> float:
    """The least round number that is not below the highest value, and has a whole half."""
    unit = 10.0 ** math.floor(math.log10(highest))
    return max(2.0, next(unit * n for n in (1, 2, 4, 6, 8, 10) if unit * n >= highest))
