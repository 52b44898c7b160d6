"""Prefill and decode through the engine, beside llama-bench on the same llama.cpp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import msgspec

from benchmarks.engine import llama_bench
from benchmarks.engine.bench import Bench, Part, changed, resampled
from benchmarks.engine.driver import Engine, info_of
from benchmarks.engine.timer import Step
from benchmarks.engine.words import Words, request
from benchmarks.figures import Figure
from benchmarks.summary import Cell, Column, Table, Verdict, show
from benchmarks.verdicts import against

Side = Literal["midfill", "llama-bench"]
SIDES: tuple[Side, Side] = ("midfill", "llama-bench")
GOAL = 0.97
_SHORT = 16


class Test(NamedTuple):
    """Prefill (``pp``) or decode (``tg``) of so many tokens, as llama-bench names them."""

    name: str
    n_prompt: int
    n_gen: int


TESTS = (
    Test("pp512", 512, 0),
    Test("pp1024", 1024, 0),
    Test("tg32", 0, 32),
    Test("tg64", 0, 64),
)


class Speed(msgspec.Struct, frozen=True, kw_only=True, tag="speed"):
    """One measurement.

    Args:
        side: who was measured.
        test: name of the test.
        repetition: its number.
        tokens_per_s: of this test.
        overhead_ms: time a token outside of ``llama_decode``; None for llama-bench.
    """

    side: Side
    test: str
    repetition: int
    tokens_per_s: float
    overhead_ms: float | None = None

    @property
    def key(self) -> str:
        """Unique in its run."""
        return f"speed|{self.side}|{self.test}|{self.repetition}"


class Visit(NamedTuple):
    """All tests of one side, one after another; the engine is loaded for no longer."""

    repetition: int
    side: Side

    @property
    def key(self) -> str:
        """Of the record that is written last."""
        return f"speed|{self.side}|{TESTS[-1].name}|{self.repetition}"


def visits(repetitions: int, sides: Sequence[Side]) -> list[Visit]:
    """Who is measured when: the sides take turns, and who comes first alternates."""
    return [
        Visit(repetition, side)
        for repetition in range(repetitions)
        for side in (sides if repetition % 2 == 0 else reversed(sides))
    ]


def measure(bench: Bench) -> None:
    """Measure what is not measured yet."""
    setup = bench.setup
    sides = SIDES if setup.programs is not None else SIDES[:1]
    left = bench.left("speed", visits(setup.repetitions, sides), lambda visit: visit.key)
    setting: llama_bench.Setting | None = None
    for visit in left:
        if visit.side == "llama-bench" and setting is not None:
            _visit_llama_bench(bench, setting, visit)
            continue
        # One slot: a prompt of other words finds nothing to reuse.
        with Engine(changed(setup.options, n_slots=1)) as engine, engine.endless():
            setting = llama_bench.Setting(model=Path(setup.options.model_path), **info_of(engine))
            if visit.side == "midfill":
                _visit_engine(bench, engine, visit)
        if visit.side == "llama-bench":
            _visit_llama_bench(bench, setting, visit)


def _visit_engine(bench: Bench, engine: Engine, visit: Visit) -> None:
    words = Words(engine.llama.tokenizer, bench.setup.seed)
    engine.run(request(words.text(256, "warm up"), 8))
    for test in TESTS:
        bench.keep(_ours(engine, words, test, visit.repetition))


def _visit_llama_bench(bench: Bench, setting: llama_bench.Setting, visit: Visit) -> None:
    assert bench.setup.programs is not None
    program = bench.setup.programs.bench
    for test in TESTS:
        line = llama_bench.command(program, setting, n_prompt=test.n_prompt, n_gen=test.n_gen)
        speed = llama_bench.tokens_per_s(line)
        bench.keep(
            Speed(side=visit.side, test=test.name, repetition=visit.repetition, tokens_per_s=speed)
        )


def _ours(engine: Engine, words: Words, test: Test, repetition: int) -> Speed:
    text = words.text(test.n_prompt or _SHORT, test.name, repetition)
    # The first token comes with the prompt's own evaluation.
    job = engine.run(request(text, test.n_gen + 1 if test.n_gen else 0))
    timings = job.timings
    if test.n_gen:
        n_tokens, spent_ms = timings.n_generated - 1, timings.decode_ms
        started_s = job.prefilled_s
    else:
        n_tokens, spent_ms = timings.n_prompt - timings.n_reused, timings.prefill_ms
        started_s = job.created_s
    until_s = job.ended_s if test.n_gen else job.prefilled_s
    return Speed(
        side="midfill",
        test=test.name,
        repetition=repetition,
        tokens_per_s=1000 * n_tokens / spent_ms,
        overhead_ms=overhead_ms(spent_ms, engine.timer.between(started_s, until_s), n_tokens),
    )


def overhead_ms(spent_ms: float, steps: Sequence[Step], n_tokens: int) -> float:
    """Time a token that was spent outside of evaluations.

    Args:
        spent_ms: in all.
        steps: the evaluations in that time.
        n_tokens: evaluated or decoded.
    """
    return max(0.0, spent_ms - sum(step.ms for step in steps)) / n_tokens


# -- findings ----------------------------------------------------------------------------


def ratio(pairs: Sequence[tuple[float, float]]) -> Figure:
    """The median of ours over the median of theirs, drawn by repetition.

    Args:
        pairs: ours and theirs, tokens a second.
    """
    if not pairs:
        return Figure(value=math.nan, low=math.nan, high=math.nan, n=0)
    return resampled(pairs, _ratio_of_medians)


def _ratio_of_medians(pairs: Sequence[tuple[float, float]]) -> float:
    return median(ours for ours, _ in pairs) / median(theirs for _, theirs in pairs)


def report(bench: Bench) -> Part:
    """Tables and verdicts."""
    records = bench.of(Speed)
    if not records:
        return Part()
    rows = []
    verdicts: list[Verdict] = []
    parts = []
    for test in TESTS:
        ours = {r.repetition: r for r in records if (r.side, r.test) == (SIDES[0], test.name)}
        theirs = {r.repetition: r for r in records if (r.side, r.test) == (SIDES[1], test.name)}
        if not ours:
            continue
        pairs = [
            (ours[n].tokens_per_s, theirs[n].tokens_per_s) for n in sorted(ours) if n in theirs
        ]
        found = ratio(pairs)
        rows.append(_row(test, list(ours.values()), list(theirs.values()), found))
        if pairs:
            name = f"{test.name}, tokens a second over llama-bench's"
            verdicts.append(against(name, found, GOAL, "the goal of", unit="ratio"))
            parts.append(f"{test.name} {show(found, 'ratio')}")
    return Part(
        sentence=f"Speed over llama-bench's: {', '.join(parts)}." if parts else "",
        tables=(_table(rows),),
        verdicts=tuple(verdicts),
        notes=_notes(bench),
    )


def _row(
    test: Test, ours: Sequence[Speed], theirs: Sequence[Speed], found: Figure
) -> tuple[Cell, ...]:
    overheads = [r.overhead_ms for r in ours if r.overhead_ms is not None]
    return (
        test.name,
        _median(ours),
        _median(theirs),
        None if math.isnan(found.value) else found,
        resampled(overheads, median) if overheads else None,
        len(ours),
    )


def _median(records: Sequence[Speed]) -> Cell:
    speeds = [record.tokens_per_s for record in records]
    return resampled(speeds, median) if speeds else None


def _table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        title="Prefill (pp) and decode (tg)",
        columns=(
            Column("test"),
            Column("midfill, tokens/s", "rate"),
            Column("llama-bench, tokens/s", "rate"),
            Column("ratio", "ratio"),
            Column("outside of llama_decode, ms a token", "number"),
            Column("N", "count"),
        ),
        rows=tuple(rows),
        note="Medians of N repetitions with 95 % bootstrap intervals; the sides take turns. "
        " midfill's decode holds its sampling and its log-probabilities; llama-bench "
        "samples nothing.",
    )


def _notes(bench: Bench) -> tuple[str, ...]:
    programs = bench.setup.programs
    if programs is None:
        return (f"Without llama-bench: {bench.setup.without}",)
    whose = (
        "runs on the very libraries that the engine loads"
        if programs.same_libraries
        else "was built whole, with llama.cpp's own defaults"
    )
    return (
        f"llama-bench, from the sources of llama-cpp-python {programs.version}, {whose}, with the "
        "engine's threads, physical batch and flash attention.",
    )
