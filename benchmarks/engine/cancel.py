"""How soon the engine is free after a cancellation, in prefill and in decode."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple

import msgspec

from benchmarks.engine.bench import Bench, Part, resampled
from benchmarks.engine.driver import Engine, Recorded
from benchmarks.engine.words import Words, request
from benchmarks.figures import percentile
from benchmarks.summary import Cell, Column, Table, Verdict, show
from benchmarks.verdicts import against
from lsp_server.errors import EngineError

Phase = Literal["prefill", "decode"]
PHASES: tuple[Phase, Phase] = ("prefill", "decode")
_PER_REPETITION = 3
_N_LONG = 1024
_N_SHORT = 32
_N_GEN = 64
_MAX_ATTEMPTS = 10
_LIMITS = {"prefill": "one piece of a prompt", "decode": "one token"}


class Cancelled(msgspec.Struct, frozen=True, kw_only=True, tag="cancelled"):
    """One cancellation.

    Args:
        phase: what the engine did.
        repetition: its number.
        free_ms: until the engine had left the job.
        next_ms: until it began the next job, which waited already.
        step_ms: one whole evaluation of that phase, measured just before.
    """

    phase: Phase
    repetition: int
    free_ms: float
    next_ms: float
    step_ms: float

    @property
    def key(self) -> str:
        """Unique in its run."""
        return _key(_Turn(self.phase, self.repetition))


class _Turn(NamedTuple):
    phase: Phase
    repetition: int


def _key(turn: _Turn) -> str:
    return f"cancelled|{turn.phase}|{turn.repetition}"


def measure(bench: Bench) -> None:
    """Measure what is not measured yet."""
    setup = bench.setup
    n_each = _PER_REPETITION * setup.repetitions
    turns = [_Turn(phase, number) for number in range(n_each) for phase in PHASES]
    left = bench.left("cancel", turns, _key)
    if not left:
        return
    with Engine(setup.options) as engine, engine.endless():
        words = Words(engine.llama.tokenizer, setup.seed)
        for turn in left:
            bench.keep(_cancelled(engine, words, turn, setup.seed))


def _cancelled(engine: Engine, words: Words, turn: _Turn, seed: int) -> Cancelled:
    chance = random.Random(f"{seed}|{turn}")
    n_prompt, n_gen = (_N_LONG, 1) if turn.phase == "prefill" else (_N_SHORT, _N_GEN)
    step_ms = _whole_step_ms(engine, words.text(n_prompt, "whole", turn), n_gen, turn.phase)
    for attempt in range(_MAX_ATTEMPTS):
        text = words.text(n_prompt, "cancelled", turn, attempt)
        following = request(words.text(_N_SHORT, "next", turn, attempt), 1, "prefetch")
        n_before = engine.timer.n_started
        job = engine.put(Recorded(request(text, n_gen), "a"))
        # In prefill the first or second piece; in decode some token behind the prompt.
        engine.timer.wait_started(n_before + (chance.choice((1, 2)) if n_gen == 1 else 8))
        # At any moment of the evaluation, as users do.
        job.is_over_within(chance.random() * step_ms / 1000)
        asked_s = time.monotonic()
        engine.cancel(job)
        # Its lane asks nobody to make way, so that the cancellation alone frees the engine.
        waiting = engine.put(Recorded(following, "b"))
        job.wait()
        waiting.wait()
        if job.finish_reason == "cancelled" and job.ended_s >= asked_s:
            return Cancelled(
                phase=turn.phase,
                repetition=turn.repetition,
                free_ms=1000 * (job.ended_s - asked_s),
                next_ms=waiting.timings.queue_ms,
                step_ms=step_ms,
            )
    raise EngineError(
        f"The engine is through with {n_prompt} tokens before it can be cancelled.",
        code="too_fast_to_cancel",
        hint="Leave the section cancel out, with --sections.",
    )


def _whole_step_ms(engine: Engine, text: str, n_gen: int, phase: Phase) -> float:
    """A prefill piece or a token, of a job that nobody cancels."""
    job = engine.run(request(text, n_gen if phase == "decode" else 0), "a")
    steps = [s for s in engine.timer.between(job.created_s, job.ended_s) if s.whole]
    if phase == "decode":
        return median(step.ms for step in steps if step.n_tokens == 1)
    n_most = max(step.n_tokens for step in steps)
    return median(step.ms for step in steps if step.n_tokens == n_most)


# -- findings ----------------------------------------------------------------------------


def report(bench: Bench) -> Part:
    """Table and verdicts."""
    records = bench.of(Cancelled)
    if not records:
        return Part()
    rows = []
    verdicts: list[Verdict] = []
    for phase in PHASES:
        chosen = [record for record in records if record.phase == phase]
        if not chosen:
            continue
        free = [record.free_ms for record in chosen]
        following = [record.next_ms for record in chosen]
        late = resampled(chosen, p95_over_step)
        rows.append(
            (
                phase,
                *(percentile(free, 0.5), percentile(free, 0.95)),
                *(percentile(following, 0.5), percentile(following, 0.95)),
                median(record.step_ms for record in chosen),
                late,
                len(chosen),
            )
        )
        name = f"Cancelled in {phase}: p95 until the engine is free over {_LIMITS[phase]}"
        verdicts.append(
            against(name, late, 1.0, "the goal of", unit="ratio", higher_is_better=False)
        )
    return Part(sentence=_sentence(records), tables=(_table(rows),), verdicts=tuple(verdicts))


def p95_over_step(records: Sequence[Cancelled]) -> float:
    """The 95th percentile of the wait over the median evaluation of that phase."""
    return percentile([r.free_ms for r in records], 0.95) / median(r.step_ms for r in records)


def _sentence(records: Sequence[Cancelled]) -> str:
    times = [
        f"{show(percentile(free, 0.95), 'ms')} ms in {phase}"
        for phase in PHASES
        if (free := [r.free_ms for r in records if r.phase == phase])
    ]
    return f"Free again after a cancellation, p95: {', '.join(times)}."


def _table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        title="Cancellation",
        columns=(
            Column("in"),
            *(Column("free p50, ms", "rate"), Column("free p95, ms", "rate")),
            *(Column("next begins p50, ms", "rate"), Column("next begins p95, ms", "rate")),
            Column("limit: one step, ms", "rate"),
            Column("free p95 over the limit", "ratio"),
            Column("N", "count"),
        ),
        rows=tuple(rows),
        note="From the cancellation, at a random moment of an evaluation, until the engine has "
        "left the job, and until it begins one that waits. The limit is the median of whole "
        "evaluations in the same run: a piece of a prompt, or one token. A piece of a prompt is "
        "finished on purpose, as the next key's request finds it in the KV cache.",
    )
