"""Half-typed words: exact match and time with and without token healing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from benchmarks.corpus import fresh
from benchmarks.engine.bench import Bench, Part, Setup, changed
from benchmarks.engine.driver import Engine
from benchmarks.engine.holes import Hole, holes, prompt_at
from benchmarks.figures import Figure, cluster_bootstrap, percentile
from benchmarks.replay.types import PauseKind
from benchmarks.summary import Cell, Column, Table, Verdict, show
from benchmarks.verdicts import against
from context.types import Prompt
from lsp_server.engine.protocol import Generate
from lsp_server.types import SamplingParams

GOAL = 1.3
_DEFAULT_LIMIT = 300
_PER_TARGET = 8
_KINDS: tuple[PauseKind, ...] = ("inside_identifier",)
_MAX_TOKENS = 48
_N_RESAMPLES = 1000


class Word(msgspec.Struct, frozen=True, kw_only=True, tag="word"):
    """One half-typed word, asked with or without healing.

    Args:
        healed: whether its tokens were generated anew.
        place: of the hole.
        cluster: what intervals are drawn by.
        n_bytes: of the word that are typed.
        exact: whether the first line is the developer's.
        ttft_ms: until the first text.
        line_ms: until the first line was whole.
    """

    healed: bool
    place: str
    cluster: str
    n_bytes: int
    exact: bool
    ttft_ms: float
    line_ms: float

    @property
    def key(self) -> str:
        """Unique in its run."""
        return _key(_Turn(self.healed, self.place))


class _Turn(NamedTuple):
    healed: bool
    place: str


def _key(turn: _Turn) -> str:
    return f"word|{'healed' if turn.healed else 'plain'}|{turn.place}"


def measure(bench: Bench) -> None:
    """Measure what is not measured yet."""
    setup = bench.setup
    projects = fresh.fresh_lines(setup.corpus, progress=bench.say)
    chosen = holes(
        projects,
        seed=setup.seed,
        limit=setup.limit or _DEFAULT_LIMIT,
        kinds=_KINDS,
        per_target=_PER_TARGET,
        is_wanted=lambda hole: prompt_at(hole.before, hole.after, setup.budget).heal_bytes > 0,
    )
    by_place = {hole.place: hole for hole in chosen}
    turns = [
        _Turn(healed, hole.place)
        for number, hole in enumerate(chosen)
        for healed in ((True, False) if number % 2 == 0 else (False, True))
    ]
    left = bench.left("healing", turns, _key)
    if not left:
        return
    with Engine(changed(setup.options, n_slots=1)) as engine:
        for turn in left:
            bench.keep(_word(setup, engine, by_place[turn.place], healed=turn.healed))


def _word(setup: Setup, engine: Engine, hole: Hole, *, healed: bool) -> Word:
    # As in an editor, the key before has had its own request.
    before = prompt_at(hole.before[:-1], hole.after, setup.budget)
    engine.run(_request(before, 0, healed=healed))
    prompt = prompt_at(hole.before, hole.after, setup.budget)
    job = engine.run(_request(prompt, _MAX_TOKENS, healed=healed))
    return Word(
        healed=healed,
        place=hole.place,
        cluster=hole.cluster,
        n_bytes=prompt.heal_bytes,
        exact=hole.is_met_by(job.text),
        ttft_ms=round(job.timings.ttft_ms, 2),
        line_ms=round(job.timings.total_ms, 2),
    )


def _request(prompt: Prompt, max_tokens: int, *, healed: bool) -> Generate:
    return Generate(
        request_id=1,
        segments=prompt.segments,
        sampling=SamplingParams(max_tokens=max_tokens),
        stop=("\n",),
        heal_bytes=prompt.heal_bytes if healed else 0,
    )


# -- findings ----------------------------------------------------------------------------


def report(bench: Bench) -> Part:
    """Table and verdicts."""
    records = bench.of(Word)
    if not records:
        return Part()
    rows = [
        _row(healed, chosen)
        for healed in (True, False)
        if (chosen := [record for record in records if record.healed == healed])
    ]
    gain = exact_ratio(records)
    verdicts: tuple[Verdict, ...] = ()
    sentence = ""
    if not math.isnan(gain.value):
        name = "Exact match within words, healed over not healed"
        verdicts = (against(name, gain, GOAL, "the goal of", unit="ratio"),)
        sentence = f"{name}: {show(gain, 'ratio')} (N = {gain.n})."
    return Part(sentence=sentence, tables=(_table(rows),), verdicts=verdicts)


def exact_ratio(records: Sequence[Word]) -> Figure:
    """Share of exact first lines with healing over that without, on the same words.

    Drawn by file; NaN where nothing is exact without healing.
    """
    plain = {record.place: record for record in records if not record.healed}
    pairs = [(r, plain[r.place]) for r in records if r.healed and r.place in plain]

    def ratio(drawn: Sequence[tuple[Word, Word]]) -> float:
        without = sum(pair[1].exact for pair in drawn)
        return sum(pair[0].exact for pair in drawn) / without if without else math.nan

    if not pairs:
        return Figure(value=math.nan, low=math.nan, high=math.nan, n=0)
    return cluster_bootstrap(pairs, lambda pair: pair[0].cluster, ratio, n_resamples=_N_RESAMPLES)


def _row(healed: bool, records: Sequence[Word]) -> tuple[Cell, ...]:
    exact = cluster_bootstrap(
        records,
        lambda record: record.cluster,
        lambda drawn: sum(r.exact for r in drawn) / len(drawn),
        n_resamples=_N_RESAMPLES,
    )
    firsts = [record.ttft_ms for record in records if record.ttft_ms]
    lines = [record.line_ms for record in records]
    return (
        "healed" if healed else "as typed",
        exact,
        *(percentile(firsts, share) if firsts else None for share in (0.5, 0.95)),
        *(percentile(lines, share) for share in (0.5, 0.95)),
        len(records),
    )


def _table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        title="Half-typed words",
        columns=(
            *(Column("word"), Column("exact", "percent")),
            *(Column("first text p50", "ms"), Column("first text p95", "ms")),
            *(Column("first line p50", "ms"), Column("first line p95", "ms")),
            Column("N", "count"),
        ),
        rows=tuple(rows),
        note="Cursors inside identifiers of code newer than the models; greedy, up to the end of "
        "the line, against what the developer wrote. The prompt of the key before is in the KV "
        "cache. 95 % intervals, drawn by file.",
    )
