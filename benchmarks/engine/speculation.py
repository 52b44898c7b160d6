"""Guessed tokens: decode speed with speculation and without, on code that is completed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from benchmarks.corpus import fresh
from benchmarks.engine.bench import Bench, Part, Setup, changed, has_option
from benchmarks.engine.driver import Engine
from benchmarks.engine.holes import Hole, holes, prompt_at
from benchmarks.figures import Figure, cluster_bootstrap, wilson
from benchmarks.summary import Cell, Column, Table, show
from benchmarks.verdicts import against
from lsp_server.engine.protocol import Generate
from lsp_server.types import SamplingParams

OPTION = "speculation"
_STATES = ("on", "off", "auto")
_DEFAULT_LIMIT = 100
_MAX_TOKENS = 64
# With fewer tokens there was nothing to guess.
_MIN_TOKENS = 4
_N_RESAMPLES = 1000


class Guessed(msgspec.Struct, frozen=True, kw_only=True, tag="guessed"):
    """One completion.

    Args:
        state: of the setting.
        place: of the hole.
        cluster: what intervals are drawn by.
        n_tokens: decoded behind the first one.
        decode_ms: for these.
        text: what was written.
    """

    state: str
    place: str
    cluster: str
    n_tokens: int
    decode_ms: float
    text: str

    @property
    def key(self) -> str:
        """Unique in its run."""
        return f"guessed|{self.state}|{self.place}"


class _Pass(NamedTuple):
    state: str
    holes: list[Hole]

    @property
    def key(self) -> str:
        return f"guessed|{self.state}|{self.holes[-1].place}"


def measure(bench: Bench) -> None:
    """Measure what is not measured yet."""
    setup = bench.setup
    if not has_option(OPTION):
        return
    projects = fresh.fresh_lines(setup.corpus, progress=bench.say)
    chosen = holes(
        projects,
        seed=setup.seed,
        limit=setup.limit or _DEFAULT_LIMIT,
        kinds=("line_start", "after_punctuation"),
        per_target=1,
    )
    passes = [_Pass(state, chosen) for state in _STATES if chosen]
    for one in bench.left(OPTION, passes, lambda each: each.key):
        _measure(bench, setup, one)


def _measure(bench: Bench, setup: Setup, one: _Pass) -> None:
    left = [hole for hole in one.holes if not bench.has(f"guessed|{one.state}|{hole.place}")]
    with Engine(changed(setup.options, n_slots=1, speculation=one.state)) as engine:
        for hole in left:
            prompt = prompt_at(hole.before, hole.after, setup.budget)
            job = engine.run(
                Generate(
                    request_id=1,
                    segments=prompt.segments,
                    sampling=SamplingParams(max_tokens=_MAX_TOKENS),
                )
            )
            bench.keep(
                Guessed(
                    state=one.state,
                    place=hole.place,
                    cluster=hole.cluster,
                    n_tokens=max(0, job.timings.n_generated - 1),
                    decode_ms=job.timings.decode_ms,
                    text=job.text,
                )
            )


# -- findings ----------------------------------------------------------------------------


def report(bench: Bench) -> Part:
    """Table and verdict."""
    by_state = {
        state: {r.place: r for r in bench.of(Guessed) if r.state == state} for state in _STATES
    }
    off = by_state["off"]
    rows = []
    verdicts = []
    for state, records in by_state.items():
        pairs = [(r, off[r.place]) for r in records.values() if r.place in off]
        gain = faster(pairs)
        if math.isnan(gain.value):
            continue
        same = wilson(sum(a.text == b.text for a, b in pairs), len(pairs))
        speed = sum(a.n_tokens for a, _ in pairs) / sum(a.decode_ms for a, _ in pairs)
        rows.append((state, 1000 * speed, gain, same, len(pairs)))
        if state != "off":
            name = f"Decode with speculation {state} over off"
            verdicts.append(against(name, gain, 1.0, "the level of", unit="ratio"))
    if not rows:
        return Part()
    told = [f"{row[0]} {show(row[2], 'ratio')}" for row in rows if row[0] != "off"]
    return Part(
        sentence=f"Decode with speculation over without: {', '.join(told)}." if told else "",
        tables=(_table(rows),),
        verdicts=tuple(verdicts),
    )


def faster(pairs: Sequence[tuple[Guessed, Guessed]]) -> Figure:
    """Tokens a second over those of the other side, on the same holes, drawn by file.

    Args:
        pairs: ours and theirs; those with next to nothing to decode are left out.
    """
    long = [pair for pair in pairs if min(each.n_tokens for each in pair) >= _MIN_TOKENS]
    if not long:
        return Figure(value=math.nan, low=math.nan, high=math.nan, n=0)

    def speed(records: Sequence[Guessed]) -> float:
        return sum(r.n_tokens for r in records) / sum(r.decode_ms for r in records)

    return cluster_bootstrap(
        long,
        lambda pair: pair[0].cluster,
        lambda drawn: speed([a for a, _ in drawn]) / speed([b for _, b in drawn]),
        n_resamples=_N_RESAMPLES,
    )


def _table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        title="Speculation",
        columns=(
            *(Column("speculation"), Column("decode, tokens/s", "rate")),
            *(Column("over off", "ratio"), Column("same text", "percent"), Column("N", "count")),
        ),
        rows=tuple(rows),
        note=f"Completions of up to {_MAX_TOKENS} tokens in code newer than the models, greedy. "
        "95 % intervals on paired completions, drawn by file.",
    )
