"""From the requests of a run to its tables, plot and verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from benchmarks.figures import Figure, cluster_bootstrap, percentile, wilson
from benchmarks.latency.session import Kind
from benchmarks.latency.turns import Request
from benchmarks.summary import Cell, Column, Plot, RunInfo, Series, Summary, Table, Verdict, show

Metric = Literal["ttft_ms", "display_ms", "line_ms", "total_ms"]
_METRICS: tuple[tuple[Metric, str], ...] = (
    ("ttft_ms", "first token"),
    ("display_ms", "first displayable text"),
    ("line_ms", "first line"),
    ("total_ms", "whole suggestion"),
)
_SHARES = (0.5, 0.75, 0.95, 0.99)
_WITHIN_MS = (300, 700, 1000)
_KINDS: tuple[tuple[Kind | None, str], ...] = (
    (None, "all requests"),
    ("cold", "cold"),
    ("jump", "jump"),
    ("warm", "warm"),
)
_JUDGED: tuple[Metric, ...] = ("ttft_ms", "line_ms")
_N_RESAMPLES = 1000
# An interval of fewer requests says too little for a verdict.
_MIN_JUDGED = 10
US = "midfill"

Pair = tuple[int, float, float]


class Peer(msgspec.Struct, frozen=True):
    """A side other than midfill, with its requests beside midfill's of the same moment."""

    name: str
    pairs: tuple[tuple[Request, Request], ...]

    def times(self, metric: Metric, kind: Kind | None) -> list[Pair]:
        """Number of the request, midfill's time and the peer's, where both have one."""
        return [
            (ours.step, getattr(ours, metric), getattr(theirs, metric))
            for ours, theirs in self.pairs
            if kind in (None, ours.kind) and getattr(ours, metric) and getattr(theirs, metric)
        ]


def ratio(pairs: Sequence[Pair], share: float) -> Figure:
    """A percentile of midfill's times over the same one of the peer's, on paired requests.

    The interval is drawn by request of the session: repetitions of one resemble one another.

    Args:
        pairs: number of the request, midfill's time, the peer's time.
        share: which percentile, 0 to 1.
    """

    def statistic(drawn: Sequence[Pair]) -> float:
        theirs = percentile([pair[2] for pair in drawn], share)
        return percentile([pair[1] for pair in drawn], share) / theirs if theirs else math.nan

    if not pairs:
        return Figure(value=math.nan, low=math.nan, high=math.nan, n=0)
    return cluster_bootstrap(pairs, lambda pair: pair[0], statistic, n_resamples=_N_RESAMPLES)


def summarise(run: RunInfo, requests: Sequence[Request], notes: Sequence[str]) -> Summary:
    """What a run found.

    Args:
        run: what it was made with.
        requests: of all sides.
        notes: on what was left out, and why.
    """
    names = list(dict.fromkeys(r.side for r in sorted(requests, key=lambda r: r.side != US)))
    by_side = {name: [r for r in requests if r.side == name] for name in names}
    peers = [_peer(name, by_side) for name in names if name != US]
    tables = [_ratio_table(peer) for peer in peers]
    return Summary(
        title="Latency",
        headline=_headline(by_side, peers),
        run=run,
        n=len(requests),
        tables=(
            _times_table(by_side, None),
            _times_table(by_side, "cold"),
            _times_table(by_side, "warm"),
            *tables,
            _answers_table(by_side, peers),
        ),
        plots=(
            _plot(by_side, "ttft_ms", "Time to first token"),
            _plot(by_side, "line_ms", "Time to first line"),
        ),
        verdicts=_verdicts(peers),
        notes=(*_NOTES, *notes),
    )


_NOTES = (
    "Cold is the first request in a file, jump the first one after the cursor went elsewhere, "
    "warm all others. Before the session the model is loaded and warm on every side, with nothing "
    "of the session in the KV cache. At each request the sides take turns (with gaps: whenever "
    "the cursor goes elsewhere), and who comes first alternates. All use the same model file, "
    "threads and llama.cpp. midfill's times hold its debounce; they are those of the language "
    "server over LSP.",
    "llama.vim streams nothing: its user sees a suggestion when it is whole. Its time limit, which "
    "gives up text, is a row of its own; without it its suggestions may be up to 128 tokens long. "
    "Its chunks of context are evaluated outside of what is timed. llama.cpp's server ignores "
    "t_max_prompt_ms. Suggestions differ in length between sides, so the first line compares "
    "what the whole suggestion cannot.",
    "llama_cpp.server and llama-cpp-python get midfill's prompt; they do not say how many of its "
    "tokens they evaluate.",
)


def _peer(name: str, by_side: dict[str, list[Request]]) -> Peer:
    theirs = {(r.repetition, r.step): r for r in by_side[name]}
    pairs = [(r, theirs.get((r.repetition, r.step))) for r in by_side.get(US, ())]
    return Peer(name, tuple((ours, other) for ours, other in pairs if other is not None))


def _headline(by_side: dict[str, list[Request]], peers: Sequence[Peer]) -> str:
    ours = by_side.get(US, [])
    answered = [r.ttft_ms for r in ours if r.ttft_ms]
    if not answered:
        return f"midfill answered none of {len(ours)} requests in time."
    parts = [
        f"midfill's first token after {percentile(answered, 0.5):,.0f} ms (p50) and "
        f"{percentile(answered, 0.95):,.0f} ms (p95), N = {len(answered)}."
    ]
    ratios = [
        f"{show(_cell(ratio(times, 0.5)), 'ratio')} of {peer.name}'s"
        for peer in peers
        if (times := peer.times("ttft_ms", None))
    ]
    if ratios:
        parts.append(f"Its p50 is {', '.join(ratios)}.")
    return " ".join(parts)


def _times_table(by_side: dict[str, list[Request]], kind: Kind | None) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, requests in by_side.items():
        chosen = [r for r in requests if kind in (None, r.kind)]
        for metric, until in _METRICS:
            values = [getattr(r, metric) for r in chosen if getattr(r, metric)]
            figures = [percentile(values, share) if values else None for share in _SHARES]
            rows.append((name, until, *figures, len(values)))
    words = dict(_KINDS)[kind]
    return Table(
        title=f"Milliseconds, {words}",
        columns=(
            *(Column("side"), Column("until")),
            *(Column(f"p{100 * share:.0f}", "ms") for share in _SHARES),
            Column("N", "count"),
        ),
        rows=tuple(rows),
        note="Requests that were overtaken or empty have no time and are not in N.",
    )


def _ratio_table(peer: Peer) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for kind, words in _KINDS:
        for metric, until in _METRICS:
            times = peer.times(metric, kind)
            if times:
                figures = [_cell(ratio(times, share)) for share in _SHARES]
                rows.append((words, until, *figures, len(times)))
    return Table(
        title=f"midfill / {peer.name}",
        columns=(
            *(Column("requests"), Column("until")),
            *(Column(f"p{100 * share:.0f}", "ratio") for share in _SHARES),
            Column("N", "count"),
        ),
        rows=tuple(rows),
        note="Below 1 midfill is faster. 95 % bootstrap intervals on paired requests, drawn by "
        "request; only requests that both sides answered.",
    )


def _answers_table(by_side: dict[str, list[Request]], peers: Sequence[Peer]) -> Table:
    same = {peer.name: _cell(_same_first_line(peer)) for peer in peers}
    rows: list[tuple[Cell, ...]] = []
    for name, requests in by_side.items():
        n = len(requests)
        within = [
            _cell(wilson(sum(0 < r.display_ms <= limit for r in requests), n))
            for limit in _WITHIN_MS
        ]
        rows.append(
            (
                name,
                *within,
                sum(r.outcome == "answered" for r in requests),
                sum(r.outcome == "empty" for r in requests),
                sum(r.outcome == "overtaken" for r in requests),
                _mean([r.n_prompt for r in requests]),
                _mean([r.n_evaluated for r in requests if r.kind == "cold"]),
                _mean([r.n_evaluated for r in requests if r.kind == "jump"]),
                _mean([r.n_evaluated for r in requests if r.kind == "warm"]),
                same.get(name),
            )
        )
    return Table(
        title="Answers",
        columns=(
            Column("side"),
            *(Column(f"within {limit} ms", "percent") for limit in _WITHIN_MS),
            *(Column(name, "count") for name in ("answered", "empty", "overtaken")),
            Column("prompt tokens", "count"),
            *(Column(f"evaluated, {kind}", "count") for kind in ("cold", "jump", "warm")),
            Column("same first line", "percent"),
        ),
        rows=tuple(rows),
        note="Within: requests whose first displayable text came in time, of all. Overtaken: a "
        "newer request came first. Tokens are means; a dash where the side does not say. Same "
        "first line: as midfill, of the requests that both answered.",
    )


def _same_first_line(peer: Peer) -> Figure:
    both = [
        (ours, theirs)
        for ours, theirs in peer.pairs
        if ours.outcome == "answered" and theirs.outcome == "answered"
    ]
    return wilson(sum(ours.first_line == theirs.first_line for ours, theirs in both), len(both))


def _cell(figure: Figure) -> Cell:
    """A figure; only its value where too few requests give no interval, None without a value."""
    if math.isnan(figure.value):
        return None
    return figure.value if math.isnan(figure.low) else figure


def _mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _plot(by_side: dict[str, list[Request]], metric: Metric, title: str) -> Plot:
    series = []
    for name, requests in by_side.items():
        times = sorted(getattr(r, metric) for r in requests if getattr(r, metric))
        if times:
            shares = [(place + 1) / len(requests) for place in range(len(times))]
            series.append(Series(name=name, x=tuple(times), y=tuple(shares)))
    return Plot(
        title=title,
        kind="step",
        x_label="ms since the request",
        y_label="share of all requests",
        series=tuple(series),
        x_unit="ms",
        y_unit="percent",
        log_x=True,
        note="A line that ends below 100 % had requests that were empty or overtaken.",
    )


def _verdicts(peers: Sequence[Peer]) -> tuple[Verdict, ...]:
    return tuple(
        _verdict(peer, metric, share)
        for peer in peers
        for metric in _JUDGED
        if len({step for step, _, _ in peer.times(metric, None)}) >= _MIN_JUDGED
        for share in (0.5, 0.95)
    )


def _verdict(peer: Peer, metric: Metric, share: float) -> Verdict:
    times = peer.times(metric, None)
    figure = ratio(times, share)
    ours = percentile([pair[1] for pair in times], share)
    theirs = percentile([pair[2] for pair in times], share)
    outcome: Literal["ahead", "level", "behind"] = "level"
    if figure.high < 1:
        outcome = "ahead"
    elif figure.low > 1:
        outcome = "behind"
    until = dict(_METRICS)[metric]
    return Verdict(
        text=f"{until}, p{100 * share:.0f}: midfill {ours:,.0f} ms, {peer.name} {theirs:,.0f} ms, "
        f"ratio {show(_cell(figure), 'ratio')}, N = {figure.n}",
        outcome=outcome,
    )
