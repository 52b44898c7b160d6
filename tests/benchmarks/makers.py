"""Made-up summaries: no figure in them was ever measured."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.figures import Figure
from benchmarks.machine import Machine
from benchmarks.summary import (
    Column,
    Plot,
    Reference,
    RunInfo,
    Series,
    Summary,
    Table,
    Verdict,
)


def made_up_run(**changes: Any) -> RunInfo:
    """What a run that never was was made with."""
    fields: dict[str, Any] = {
        "benchmark": "acceptance",
        "options": {"limit": 40, "modes": ["full", "empty"], "repo": None, "seed": 7},
        "model": "0.5b-instruct-q4",
        "model_sha256": "ab" * 32,
        "code": "0123456789ab",
        "commit": "fedcba987654+",
        "machine": Machine(
            cpu="Imaginary 9000",
            cores=3,
            memory_gib=7.5,
            system="Linux x86_64",
            python="3.11.2",
            load_1min=0.25,
        ),
        "started": "2031-02-03T04:05:06+00:00",
    }
    return RunInfo(**{**fields, **changes})


def figure(value: float, spread: float = 0.03, n: int = 40) -> Figure:
    """A figure with an even interval."""
    return Figure(value=value, low=value - spread, high=value + spread, n=n)


def summary(**changes: Any) -> Summary:
    """A small summary with a table, a plot, verdicts of all outcomes and a note."""
    fields: dict[str, Any] = {
        "title": "Acceptance on invented lines",
        "headline": "Invented acceptance is 40.0 % (37.0–43.0) on 40 opportunities.",
        "run": made_up_run(),
        "n": 1040,
        "tables": (
            Table(
                title="By mode",
                columns=(
                    Column("prompt"),
                    Column("acceptance", "percent"),
                    Column("p50", "ms"),
                    Column("shown", "count"),
                ),
                rows=(
                    ("midfill", figure(0.4), figure(210.0, 20), 1234),
                    ("peer | other", figure(0.35), None, 5),
                ),
                note="Invented.",
            ),
            Table(title="Second", columns=(Column("x"),), rows=(("only cell",),)),
        ),
        "plots": (line_plot(),),
        "verdicts": (
            Verdict(text="40.0 % against 35.0 % of a peer", outcome="ahead"),
            Verdict(text="AUC as the anchor", outcome="level"),
            Verdict(text="210 ms against 90 ms", outcome="behind"),
        ),
        "notes": ("A note on the method.",),
    }
    return Summary(**{**fields, **changes})


def line_plot(**changes: Any) -> Plot:
    """A coverage curve with an interval and a level to compare with."""
    x = tuple(i / 10 for i in range(1, 11))
    y = tuple(0.9 - 0.5 * share for share in x)
    fields: dict[str, Any] = {
        "title": "Coverage curve",
        "kind": "line",
        "x_label": "coverage",
        "y_label": "acceptance",
        "x_unit": "percent",
        "y_unit": "percent",
        "series": (
            Series(
                name="midfill",
                x=x,
                y=y,
                low=tuple(v - 0.05 for v in y),
                high=tuple(v + 0.05 for v in y),
            ),
            Series(name="file only", x=x, y=tuple(v - 0.2 for v in y)),
        ),
        "references": (Reference(name="an anchor", y=0.76),),
    }
    return Plot(**{**fields, **changes})


def step_plot(**changes: Any) -> Plot:
    """Distribution functions of latencies on a logarithmic axis."""
    series = tuple(
        Series(
            name=name,
            x=tuple(median * math.exp(i / 25 - 1) for i in range(51)),
            y=tuple((i + 1) / 51 for i in range(51)),
        )
        for name, median in (("midfill", 180.0), ("another server", 420.0))
    )
    fields: dict[str, Any] = {
        "title": "Time to the first line",
        "kind": "step",
        "x_label": "milliseconds",
        "y_label": "share of requests",
        "x_unit": "ms",
        "y_unit": "percent",
        "log_x": True,
        "series": series,
    }
    return Plot(**{**fields, **changes})


def bar_plot(**changes: Any) -> Plot:
    """Bars with intervals, labelled by peers."""
    y = (0.41, 0.36, 0.33, 0.3)
    fields: dict[str, Any] = {
        "title": "Same model, other prompts",
        "kind": "bar",
        "x_label": "",
        "y_label": "acceptance",
        "y_unit": "percent",
        "labels": ("midfill", "one peer", "a peer with a rather long name for its prompt", "none"),
        "series": (
            Series(
                name="acceptance",
                x=(0.0, 1.0, 2.0, 3.0),
                y=y,
                low=tuple(v - 0.04 for v in y),
                high=tuple(v + 0.04 for v in y),
            ),
        ),
    }
    return Plot(**{**fields, **changes})


def reliability_plot(**changes: Any) -> Plot:
    """A reliability diagram with its diagonal."""
    x = (0.1, 0.3, 0.5, 0.7, 0.9)
    fields: dict[str, Any] = {
        "title": "Reliability",
        "kind": "line",
        "x_label": "predicted acceptance",
        "y_label": "observed acceptance",
        "x_unit": "percent",
        "y_unit": "percent",
        "diagonal": True,
        "series": (
            Series(
                name="log-probability, calibrated",
                x=x,
                y=(0.14, 0.27, 0.55, 0.66, 0.93),
                low=(0.1, 0.2, 0.45, 0.5, 0.8),
                high=(0.2, 0.35, 0.64, 0.8, 0.98),
            ),
        ),
    }
    return Plot(**{**fields, **changes})
