"""How a measured figure stands against a level that is given without an interval."""

from __future__ import annotations

import math
from typing import Literal

from benchmarks.figures import Figure
from benchmarks.summary import Unit, Verdict, show

Outcome = Literal["ahead", "level", "behind"]


def outcome(figure: Figure, level: float, *, higher_is_better: bool = True) -> Outcome:
    """Ahead or behind only where the level lies outside of the interval."""
    if math.isnan(figure.low) or figure.low <= level <= figure.high:
        return "level"
    return "ahead" if (figure.value > level) == higher_is_better else "behind"


def against(
    name: str,
    figure: Figure,
    level: float,
    whose: str,
    *,
    unit: Unit = "percent",
    higher_is_better: bool = True,
) -> Verdict:
    """A sentence with both figures and how they stand.

    Args:
        name: of the figure, the subject of the sentence.
        figure: ours.
        level: theirs.
        whose: what the level is, e.g. ``the goal of``.
        unit: of both.
        higher_is_better: False for times and errors.
    """
    found = outcome(figure, level, higher_is_better=higher_is_better)
    where = {"ahead": "ahead of", "level": "level with", "behind": "behind"}[found]
    text = (
        f"{name}: {show(figure, unit)} is {where} {whose} {show(level, unit)} (N = {figure.n:,})."
    )
    if math.isnan(figure.low):
        text = f"{text.removesuffix('.')}; too few clusters for an interval."
    return Verdict(text=text, outcome=found)
