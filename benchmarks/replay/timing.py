"""How long the suggestions of a replay took."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.figures import percentile
from benchmarks.replay import metrics
from benchmarks.replay.metrics import Sample
from benchmarks.replay.types import Suggestion
from benchmarks.summary import Cell, Column, Plot, Series, Table

_SHARES = (0.5, 0.75, 0.95, 0.99)
_N_POINTS = 100
_TIMES: tuple[tuple[str, Callable[[Suggestion], float]], ...] = (
    ("first token", lambda suggestion: suggestion.ttft_ms),
    ("first displayable text", lambda suggestion: suggestion.display_ms),
    ("whole suggestion", lambda suggestion: suggestion.total_ms if suggestion.ttft_ms else 0.0),
)


def is_warm(suggestion: Suggestion) -> bool:
    """Whether at least half of the prompt was found in the KV cache."""
    return suggestion.n_prompt > 0 and 2 * suggestion.n_reused >= suggestion.n_prompt


def latency_table(data: Sample) -> Table:
    """Percentiles of each time, warm and cold."""
    rows: list[tuple[Cell, ...]] = []
    kinds: tuple[tuple[str, Callable[[Suggestion], bool]], ...] = (
        ("all", lambda suggestion: True),
        ("warm", is_warm),
        ("cold", lambda suggestion: not is_warm(suggestion)),
    )
    for kind, which in kinds:
        for name, number in _TIMES:
            cells = metrics.latency_percentiles(data, number, _SHARES, which)
            if cells[0].n:
                rows.append((name, kind, cells[0].n, *cells))
    return Table(
        title="Latency",
        columns=(
            Column("until"),
            Column("prompt"),
            Column("N", "count"),
            *(Column(f"p{100 * share:.0f}", "ms") for share in _SHARES),
        ),
        rows=tuple(rows),
        note="Warm: at least half of the prompt's tokens were in the KV cache. Requests that came "
        "to no token are left out.",
    )


def latency_plot(data: Sample) -> Plot | None:
    """Distribution functions of the times; None where nothing was timed."""
    series = []
    for name, number in _TIMES:
        values = [time for _, o in data.cases if (time := number(o.suggestion)) > 0]
        if values:
            series.append(_distribution(name, values))
    if not series:
        return None
    return Plot(
        title="Latency",
        kind="step",
        x_label="milliseconds",
        y_label="share of requests",
        series=tuple(series),
        x_unit="ms",
        y_unit="percent",
        log_x=True,
    )


def _distribution(name: str, values: Sequence[float]) -> Series:
    shares = tuple(number / _N_POINTS for number in range(_N_POINTS + 1))
    return Series(name=name, x=tuple(percentile(values, share) for share in shares), y=shares)
