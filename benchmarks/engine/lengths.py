"""Time to the first token by length of the prompt, beside llama-server with the same tokens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import msgspec

from benchmarks.engine.bench import Bench, Part, Setup, changed, resampled
from benchmarks.engine.driver import Engine
from benchmarks.engine.words import Words, request
from benchmarks.figures import Figure
from benchmarks.latency.sides import http, llama_server
from benchmarks.latency.sides.child import Server
from benchmarks.latency.sides.setup import Setup as ServerSetup
from benchmarks.summary import Cell, Column, Table, Verdict
from benchmarks.verdicts import against

Side = Literal["midfill", "llama-server"]
State = Literal["cold", "warm"]
SIDES: tuple[Side, Side] = ("midfill", "llama-server")
STATES: tuple[State, State] = ("cold", "warm")
# Of the prompt, right of the cursor.
_SUFFIX_SHARE = 0.25
_KEY = " so"
_ROOM = 1024
_N_KEYS = 3


class FirstToken(msgspec.Struct, frozen=True, kw_only=True, tag="first_token"):
    """Time to the first token of one prompt, and of a few keys typed behind it.

    Args:
        side: who was asked.
        n_prompt: tokens.
        repetition: its number.
        cold_ms: nothing of the prompt was evaluated before.
        warm_ms: of each key; the median counts.
    """

    side: Side
    n_prompt: int
    repetition: int
    cold_ms: float
    warm_ms: tuple[float, ...]

    @property
    def key(self) -> str:
        """Unique in its run."""
        return _key(_Turn(self.side, self.n_prompt, self.repetition))

    def ms(self, state: State) -> float:
        """Of the cold prompt, or the median of the keys."""
        return self.cold_ms if state == "cold" else median(self.warm_ms)


class _Turn(NamedTuple):
    side: Side
    n_prompt: int
    repetition: int


class Typed(NamedTuple):
    """A prompt: texts on both sides of the cursor, and their tokens."""

    before: str
    after: str
    tokens: list[int]


def _key(turn: _Turn) -> str:
    return f"first_token|{turn.side}|{turn.n_prompt}|{turn.repetition}"


def prompts(words: Words, n_prompt: int, repetition: int) -> list[Typed]:
    """A prompt of so many tokens, and the same with one, two, … keys typed at the cursor."""
    after = words.text(int(_SUFFIX_SHARE * n_prompt), "after", n_prompt, repetition)
    before = words.text(n_prompt, "before", n_prompt, repetition, after=after)
    texts = [before + number * _KEY for number in range(_N_KEYS + 1)]
    return [Typed(text, after, words.tokens(text, after)) for text in texts]


def measure(bench: Bench) -> None:
    """Measure what is not measured yet."""
    setup = bench.setup
    sides = SIDES if setup.programs is not None else SIDES[:1]
    turns = [
        _Turn(side, n_prompt, repetition)
        for repetition in range(setup.repetitions)
        for n_prompt in setup.lengths
        for side in (sides if repetition % 2 == 0 else reversed(sides))
    ]
    left = bench.left("lengths", turns, _key)
    if not left:
        return
    n_ctx = max(8192, max(setup.lengths) + _ROOM)
    with (
        Engine(changed(setup.options, n_slots=1, n_ctx=n_ctx)) as engine,
        asyncio.Runner() as runner,
        _llama_server(setup, engine, n_ctx, runner) as server,
    ):
        words = Words(engine.llama.tokenizer, setup.seed)
        engine.run(request(words.text(256, "warm up"), 1))
        for turn in left:
            typed = prompts(words, turn.n_prompt, turn.repetition)
            if turn.side == "midfill":
                times = [_ours_ms(engine, each) for each in typed]
            else:
                assert server is not None
                times = [runner.run(_theirs_ms(server, each.tokens)) for each in typed]
            bench.keep(
                FirstToken(
                    side=turn.side,
                    n_prompt=turn.n_prompt,
                    repetition=turn.repetition,
                    cold_ms=times[0],
                    warm_ms=tuple(times[1:]),
                )
            )


def _ours_ms(engine: Engine, typed: Typed) -> float:
    with engine.endless():
        return engine.run(request(typed.before, 1, after=typed.after)).timings.ttft_ms


async def _theirs_ms(server: Server, tokens: Sequence[int]) -> float:
    wanted = {
        "prompt": list(tokens),
        "n_predict": 1,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "cache_prompt": True,
    }
    started_s = time.perf_counter()
    events = http.stream(server.port, "/completion", wanted)
    async with contextlib.aclosing(events):
        async for _ in events:
            return 1000 * (time.perf_counter() - started_s)
    return 1000 * (time.perf_counter() - started_s)


@contextlib.contextmanager
def _llama_server(
    setup: Setup, engine: Engine, n_ctx: int, runner: asyncio.Runner
) -> Iterator[Server | None]:
    """A server with the engine's threads and layers; None where llama.cpp is not built."""
    if setup.programs is None:
        yield None
        return
    program = setup.programs.server
    shared = ServerSetup(
        model=setup.options.model_id,
        model_path=Path(setup.options.model_path),
        n_threads=engine.llama.n_threads,
        n_ctx=n_ctx,
        budget=setup.budget,
        max_tokens=1,
        seed=setup.seed,
    )
    layers = ("-ngl", "999") if engine.llama.n_gpu_layers else ("-ngl", "0")
    server = Server(
        "llama-server, same tokens",
        lambda port: [*llama_server.command(program, shared, port), *layers],
        health="/health",
    )
    runner.run(server.start())
    try:
        runner.run(_theirs_ms(server, [1, 2, 3]))
        yield server
    finally:
        runner.run(server.aclose())


# -- findings ----------------------------------------------------------------------------


def report(bench: Bench) -> Part:
    """Table and verdicts."""
    records = bench.of(FirstToken)
    rows: list[tuple[Cell, ...]] = []
    verdicts: list[Verdict] = []
    for n_prompt in sorted({record.n_prompt for record in records}):
        by_side = {
            side: {r.repetition: r for r in records if (r.side, r.n_prompt) == (side, n_prompt)}
            for side in SIDES
        }
        ours, theirs = by_side[SIDES[0]], by_side[SIDES[1]]
        for state in STATES:
            pairs = [(ours[n].ms(state), theirs[n].ms(state)) for n in sorted(ours) if n in theirs]
            found = ratio(pairs) if pairs else None
            rows.append(
                (
                    n_prompt,
                    state,
                    *(_median([r.ms(state) for r in side.values()]) for side in (ours, theirs)),
                    found,
                    len(ours),
                )
            )
            if found is not None:
                name = f"First token, {n_prompt:,} tokens, {state}, over llama-server's"
                verdicts.append(
                    against(name, found, 1.0, "the level of", unit="ratio", higher_is_better=False)
                )
    return Part(tables=(_table(rows),), verdicts=tuple(verdicts)) if rows else Part()


def ratio(pairs: Sequence[tuple[float, float]]) -> Figure:
    """Our median over theirs, drawn by repetition.

    Args:
        pairs: milliseconds of both, of the same prompts.
    """
    return resampled(pairs, lambda drawn: median(a for a, _ in drawn) / median(b for _, b in drawn))


def _median(times: Sequence[float]) -> Cell:
    return resampled(times, median) if times else None


def _table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        title="First token by length of the prompt",
        columns=(
            *(Column("prompt tokens", "count"), Column("prompt")),
            *(Column("midfill", "ms"), Column("llama-server", "ms")),
            *(Column("ratio", "ratio"), Column("N", "count")),
        ),
        rows=tuple(rows),
        note="Both are given the same tokens, a quarter of them right of the cursor; "
        "llama-server over HTTP on /completion, the engine in this process. Cold: nothing of the "
        f"prompt was evaluated before. Warm: {_N_KEYS} keys typed at the cursor, one after "
        "another. Medians with 95 % bootstrap intervals.",
    )
