"""A fresh keystroke while others keep the engine busy: its first token, alone and beside them."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from benchmarks.engine.bench import Bench, Part, resampled
from benchmarks.engine.clients import N_GEN, N_PROMPT, options_for
from benchmarks.engine.driver import Engine, Recorded
from benchmarks.engine.timer import DecodeTimer
from benchmarks.engine.words import Words, request
from benchmarks.figures import Figure, percentile, wilson
from benchmarks.summary import Column, Table, Verdict, show
from benchmarks.verdicts import against
from lsp_server.engine.protocol import Lane
from lsp_server.errors import EngineError
from lsp_server.types import TokenChunk

N_OTHERS = 8
LANES: tuple[Lane, ...] = ("prefetch", "interactive")
# Cases a repetition: a keystroke is short.
_PER_REPETITION = 2
_PATIENCE_S = 600.0
_KEY = " so"
_FIRST_GOAL = 0.9


class Keystroke(msgspec.Struct, frozen=True, kw_only=True, tag="keystroke"):
    """One keystroke.

    Args:
        beside: lane of the others.
        repetition: its number.
        alone_ms: time to its first token when nobody else asks.
        beside_ms: the same while others stream and evaluate prompts.
        n_before: how many of the others' prompts were evaluated before its own, by an evaluation
            that began after it.
    """

    beside: Lane
    repetition: int
    alone_ms: float
    beside_ms: float
    n_before: int

    @property
    def key(self) -> str:
        """Unique in its run."""
        return _key(_Turn(self.beside, self.repetition))


class _Turn(NamedTuple):
    beside: Lane
    repetition: int


def _key(turn: _Turn) -> str:
    return f"keystroke|{turn.beside}|{turn.repetition}"


def measure(bench: Bench) -> None:
    """Measure what is not measured yet."""
    setup = bench.setup
    n_each = _PER_REPETITION * setup.repetitions
    turns = [_Turn(lane, number) for number in range(n_each) for lane in LANES]
    left = bench.left("keystrokes", turns, _key)
    if not left:
        return
    with Engine(options_for(setup, N_OTHERS + 1)) as engine, engine.endless():
        words = Words(engine.llama.tokenizer, setup.seed)
        for turn in left:
            bench.keep(_keystroke(engine, words, turn))


def _keystroke(engine: Engine, words: Words, turn: _Turn) -> Keystroke:
    typed = words.text(N_PROMPT, "typed", turn)
    engine.run(request(typed, 0), client="typist")
    alone = engine.run(request(typed + _KEY, 4), client="typist")
    others = _busy(engine, words, turn)
    key = engine.put(Recorded(request(typed + 2 * _KEY, 4), client="typist"))
    key.wait()
    for other in others:
        engine.cancel(other)
    for other in others:
        other.wait()
    return Keystroke(
        beside=turn.beside,
        repetition=turn.repetition,
        alone_ms=_first_ms(alone),
        beside_ms=_first_ms(key),
        n_before=_n_before(key, others, engine.timer),
    )


def _first_ms(job: Recorded) -> float:
    """Until its first token was picked, whether or not that has text: it is made-up words."""
    return 1000 * (job.prefilled_s - job.created_s)


def _n_before(key: Recorded, others: Sequence[Recorded], timer: DecodeTimer) -> int:
    """How many others got there first by an evaluation that began after the key."""
    later = [step for step in timer.steps if step.started_s > key.created_s]
    first_s = min((step.ended_s for step in later), default=math.inf)
    return sum(first_s < other.prefilled_s < key.prefilled_s for other in others)


def _busy(engine: Engine, words: Words, turn: _Turn) -> list[Recorded]:
    """Others at work: half of them have their prompts evaluated and stream, the rest wait."""
    streaming = threading.Event()

    def on_chunk(chunk: TokenChunk) -> None:
        if chunk.logprobs:
            streaming.set()

    texts = [words.text(N_PROMPT, "other", turn, number) for number in range(N_OTHERS)]
    for number, text in enumerate(texts[: N_OTHERS // 2]):
        engine.run(request(text, 0), client=f"other {number}")
    others = [
        engine.put(Recorded(request(text, 4 * N_GEN, turn.beside), f"other {number}", on_chunk))
        for number, text in enumerate(texts)
    ]
    if not streaming.wait(_PATIENCE_S):
        raise EngineError("No client of several gets a token.", code="engine_stuck")
    return others


# -- findings ----------------------------------------------------------------------------


def report(bench: Bench) -> Part:
    """Table and verdicts."""
    records = bench.of(Keystroke)
    if not records:
        return Part()
    rows = []
    verdicts: list[Verdict] = []
    sentence = ""
    for lane in LANES:
        chosen = [record for record in records if record.beside == lane]
        if not chosen:
            continue
        first = answered_first(chosen)
        alone = [record.alone_ms for record in chosen]
        beside = [record.beside_ms for record in chosen]
        rows.append(
            (
                f"{N_OTHERS} others, {lane}",
                *(percentile(alone, 0.5), percentile(alone, 0.95)),
                *(percentile(beside, 0.5), percentile(beside, 0.95)),
                resampled(chosen, _slower),
                first,
                len(chosen),
            )
        )
        name = f"A keystroke beside {N_OTHERS} clients ({lane}) is answered first"
        verdicts.append(against(name, first, _FIRST_GOAL, "the goal of"))
        if lane == "prefetch":
            share = show(first, "percent")
            sentence = f"A keystroke beside {N_OTHERS} prefetches is answered first in {share}."
    return Part(sentence=sentence, tables=(_table(rows),), verdicts=tuple(verdicts))


def answered_first(records: Sequence[Keystroke]) -> Figure:
    """Share of the keystrokes before which none of the waiting prompts was evaluated."""
    return wilson(sum(record.n_before == 0 for record in records), len(records))


def _slower(records: Sequence[Keystroke]) -> float:
    return percentile([r.beside_ms for r in records], 0.5) / percentile(
        [r.alone_ms for r in records], 0.5
    )


def _table(rows: Sequence[tuple[object, ...]]) -> Table:
    return Table(
        title="A fresh keystroke beside others",
        columns=(
            Column("beside"),
            *(Column("alone p50", "ms"), Column("alone p95", "ms")),
            *(Column("beside p50", "ms"), Column("beside p95", "ms")),
            Column("p50 over alone", "ratio"),
            Column("answered first", "percent"),
            Column("N", "count"),
        ),
        rows=tuple(rows),  # type: ignore[arg-type]
        note="Time to the first token of a key typed in a text whose prompt is evaluated but for "
        "that key. Half of the others stream, half wait for their prompts of "
        f"{N_PROMPT} tokens. First: none of these prompts was ready before the key's.",
    )
