"""A typing session through the engine: how much of each prompt is found in the KV cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from benchmarks.engine.bench import Bench, Part, Setup, changed
from benchmarks.engine.driver import Engine
from benchmarks.engine.words import request
from benchmarks.figures import Figure, cluster_bootstrap, percentile
from benchmarks.latency import session
from benchmarks.latency.session import Kind, Step
from benchmarks.latency.sides.prompts import prompt
from benchmarks.latency.sides.setup import WARM_UP
from benchmarks.summary import Cell, Column, Table, Verdict, show
from benchmarks.verdicts import against
from lsp_server.engine.protocol import Generate
from lsp_server.types import SamplingParams

GOAL = 0.95
_DEFAULT_LIMIT = 300
# Part of a short suggestion; the next key comes before it is whole.
_MAX_TOKENS = 8
_KINDS: tuple[Kind, ...] = ("cold", "jump", "warm")
_N_RESAMPLES = 1000


class Key(msgspec.Struct, frozen=True, kw_only=True, tag="key"):
    """One request of the session.

    Args:
        move: whether text is moved in the KV cache.
        step: its number in the session.
        kind: what it follows.
        n_prompt: tokens of the prompt.
        n_reused: of these, not evaluated for this request.
        ttft_ms: time to the first token.
    """

    move: bool
    step: int
    kind: Kind
    n_prompt: int
    n_reused: int
    ttft_ms: float

    @property
    def key(self) -> str:
        """Unique in its run."""
        return f"key|{'moved' if self.move else 'kept'}|{self.step}"


class _Pass(NamedTuple):
    """The session played once."""

    move: bool
    steps: list[Step]

    @property
    def key(self) -> str:
        return f"key|{'moved' if self.move else 'kept'}|{self.steps[-1].number}"


def measure(bench: Bench) -> None:
    """Play the session with and without moving; a pass that was interrupted begins again."""
    setup = bench.setup
    typed = session.load(setup.session)
    steps = session.steps(typed, 0.0, every_key=True)[: setup.limit or _DEFAULT_LIMIT]
    if not steps:
        return
    passes = [_Pass(True, steps), _Pass(False, steps)]
    for played in bench.left("reuse", passes, lambda one: one.key):
        # What the KV cache held in the middle of a pass is gone, so it is written as a whole.
        for record in [*_play(setup, played)]:
            bench.keep(record)


def _play(setup: Setup, played: _Pass) -> Sequence[Key]:
    options = changed(setup.options, move_kv=played.move)
    records = []
    with Engine(options) as engine:
        engine.run(request(WARM_UP, 1))
        for step in played.steps:
            timings = engine.run(_request(setup, step)).timings
            records.append(
                Key(
                    move=played.move,
                    step=step.number,
                    kind=step.kind,
                    n_prompt=timings.n_prompt,
                    n_reused=timings.n_reused,
                    ttft_ms=round(timings.ttft_ms, 2),
                )
            )
    return records


def _request(setup: Setup, step: Step) -> Generate:
    made = prompt(step.moment, setup.budget)
    return Generate(
        request_id=1,
        segments=made.segments,
        sampling=SamplingParams(max_tokens=_MAX_TOKENS),
        stop=made.stop,
        heal_bytes=made.heal_bytes,
    )


# -- findings ----------------------------------------------------------------------------


def report(bench: Bench) -> Part:
    """Tables and verdicts."""
    n_most = bench.setup.limit or _DEFAULT_LIMIT
    records = [record for record in bench.of(Key) if record.step < n_most]
    if not records:
        return Part()
    rows = [
        _row(move, kind, chosen)
        for move in (True, False)
        for kind in _KINDS
        if (chosen := [r for r in records if (r.move, r.kind) == (move, kind)])
    ]
    warm = [r for r in records if r.kind == "warm"]
    moved = [r for r in warm if r.move]
    verdicts: list[Verdict] = []
    sentence = ""
    if moved:
        share = reused_share(moved)
        verdicts.append(against("Reused prompt tokens, warm", share, GOAL, "the goal of"))
        sentence = f"{show(share, 'percent')} of a warm prompt's tokens are reused."
    faster = ttft_ratio(warm)
    if not math.isnan(faster.value):
        name = "First token, mean of all keys, warm, moved text over evaluated text"
        verdicts.append(
            against(name, faster, 1.0, "the level of", unit="ratio", higher_is_better=False)
        )
    return Part(sentence=sentence, tables=(_table(rows),), verdicts=tuple(verdicts))


def reused_share(records: Sequence[Key]) -> Figure:
    """Reused tokens over prompt tokens, drawn by request."""
    return cluster_bootstrap(
        records,
        lambda record: record.step,
        lambda drawn: sum(r.n_reused for r in drawn) / sum(r.n_prompt for r in drawn),
        n_resamples=_N_RESAMPLES,
    )


def ttft_ratio(records: Sequence[Key]) -> Figure:
    """Mean time to the first token with moving over that without, on the same requests.

    Not the median: at half of the keys a word is typed on, and nothing is moved or evaluated.
    """
    with_move = {r.step: r.ttft_ms for r in records if r.move and r.ttft_ms}
    without = {r.step: r.ttft_ms for r in records if not r.move and r.ttft_ms}
    pairs = [(step, ms, without[step]) for step, ms in with_move.items() if step in without]
    if not pairs:
        return Figure(value=math.nan, low=math.nan, high=math.nan, n=0)
    return cluster_bootstrap(
        pairs,
        lambda pair: pair[0],
        lambda drawn: sum(p[1] for p in drawn) / sum(p[2] for p in drawn),
        n_resamples=_N_RESAMPLES,
    )


def _row(move: bool, kind: Kind, records: Sequence[Key]) -> tuple[Cell, ...]:
    times = [r.ttft_ms for r in records if r.ttft_ms]
    return (
        "moved" if move else "evaluated",
        kind,
        sum(r.n_prompt for r in records) / len(records),
        sum(r.n_prompt - r.n_reused for r in records) / len(records),
        reused_share(records),
        *(percentile(times, share) if times else None for share in (0.5, 0.95)),
        len(records),
    )


def _table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        title="Reuse in a typing session",
        columns=(
            *(Column("text behind the cursor"), Column("request")),
            *(Column("prompt tokens", "count"), Column("evaluated", "rate")),
            Column("reused", "percent"),
            *(Column("first token p50", "ms"), Column("p95", "ms")),
            Column("N", "count"),
        ),
        rows=tuple(rows),
        note="A request after every key of the typing session, in midfill's prompts. Cold is the "
        "first request in a file, jump the first one after the cursor went elsewhere, warm all "
        "others; tokens are means. Evaluated: engine.move_kv is off. There are no pauses between "
        "the keys, so nothing is refreshed in them.",
    )
