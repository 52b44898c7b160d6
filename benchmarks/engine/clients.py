"""Several clients on one model: throughput against the same work in turn, latency, fairness."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

from benchmarks.engine.bench import Bench, Part, Setup, changed, resampled
from benchmarks.engine.driver import Engine, Recorded
from benchmarks.engine.words import Words, request
from benchmarks.figures import Figure, percentile
from benchmarks.summary import Cell, Column, Plot, Series, Table, Verdict, show
from benchmarks.verdicts import against
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import Generate

Phase = Literal["cold", "warm"]
PHASES: tuple[Phase, Phase] = ("cold", "warm")
FAIR_GOAL = 0.5
JUDGED = 8
N_PROMPT = 256
N_GEN = 32
# Requests that each client makes one after another: one cold, then its next keys.
_ROUNDS: dict[Phase, int] = {"cold": 1, "warm": 3}
_ROOM = 256
# A crowd takes minutes, and every one of its requests is a measurement.
_REPETITIONS_A_ROUND = 3


class Crowd(msgspec.Struct, frozen=True, kw_only=True, tag="crowd"):
    """Clients that ask at once, and the same requests in turn.

    Args:
        phase: ``cold``: each asks once with a prompt that is not evaluated yet; ``warm``: each
            asks several times, one word further each time.
        n_clients: how many.
        repetition: its number.
        n_tokens: generated in each of the two ways.
        together_s: all at once.
        in_turn_s: one after another.
        ttft_ms: of each request, asked at once.
        total_ms: of each request, asked at once.
        alone_ttft_ms: of each request, asked in turn.
        share: the least served client's tokens over an even share, while all had work.
    """

    phase: Phase
    n_clients: int
    repetition: int
    n_tokens: int
    together_s: float
    in_turn_s: float
    ttft_ms: tuple[float, ...]
    total_ms: tuple[float, ...]
    alone_ttft_ms: tuple[float, ...]
    share: float

    @property
    def key(self) -> str:
        """Unique in its run."""
        return f"crowd|{self.n_clients}|{self.repetition}|{self.phase}"


class _Turn(NamedTuple):
    n_clients: int
    repetition: int


def options_for(setup: Setup, n_clients: int) -> EngineOptions:
    """An engine with a slot and enough cells for every client.

    Args:
        setup: of the run.
        n_clients: the most there will be at once.
    """
    n_slots = min(32, max(setup.options.n_slots, n_clients))
    n_cells = n_clients * (N_PROMPT + sum(_ROUNDS.values()) * N_GEN + _ROOM)
    n_ctx = max(setup.options.n_ctx, 8192, -(-n_cells // 1024) * 1024)
    return changed(setup.options, n_slots=n_slots, n_ctx=n_ctx)


def measure(bench: Bench) -> None:
    """Measure what is not measured yet."""
    setup = bench.setup
    n_rounds = -(-setup.repetitions // _REPETITIONS_A_ROUND)
    turns = [_Turn(n, r) for r in range(n_rounds) for n in setup.clients]
    # A crowd's two phases belong together; the warm one is written last.
    left = bench.left("clients", turns, lambda turn: f"crowd|{turn[0]}|{turn[1]}|warm")
    if not left:
        return
    with Engine(options_for(setup, max(setup.clients))) as engine, engine.endless():
        words = Words(engine.llama.tokenizer, setup.seed)
        engine.run(request(words.text(N_PROMPT, "warm up"), 8))
        for turn in left:
            for record in _crowd(engine, words, turn):
                bench.keep(record)


def _crowd(engine: Engine, words: Words, turn: _Turn) -> list[Crowd]:
    """Both phases; which way comes first alternates."""
    ways: tuple[Callable[..., _Ran], ...] = (_at_once, _in_turn)
    found: dict[tuple[Phase, str], _Ran] = {}
    for way in ways if turn.repetition % 2 == 0 else reversed(ways):
        wanted = [_requests(words, turn, way.__name__, client) for client in range(turn.n_clients)]
        for phase in PHASES:
            part = [_of_phase(requests, phase) for requests in wanted]
            found[phase, way.__name__] = way(engine, part)
    records = []
    for phase in PHASES:
        at_once, in_turn = found[phase, "_at_once"], found[phase, "_in_turn"]
        records.append(
            Crowd(
                phase=phase,
                n_clients=turn.n_clients,
                repetition=turn.repetition,
                n_tokens=sum(len(job.token_times_s) for job in at_once.jobs),
                together_s=at_once.spent_s,
                in_turn_s=in_turn.spent_s,
                ttft_ms=tuple(round(job.timings.ttft_ms, 2) for job in at_once.jobs),
                total_ms=tuple(round(job.timings.total_ms, 2) for job in at_once.jobs),
                alone_ttft_ms=tuple(round(job.timings.ttft_ms, 2) for job in in_turn.jobs),
                share=fair_share(at_once.token_times_s),
            )
        )
    return records


def _requests(words: Words, turn: _Turn, way: str, client: int) -> list[Generate]:
    """What one client asks in both phases: a text of its own, one word longer each time."""
    text = words.text(N_PROMPT, way, turn, client)
    return [
        request(text + " and then it" * number, N_GEN) for number in range(sum(_ROUNDS.values()))
    ]


def _of_phase(requests: list[Generate], phase: Phase) -> list[Generate]:
    n_cold = _ROUNDS["cold"]
    return requests[:n_cold] if phase == "cold" else requests[n_cold:]


class _Ran(NamedTuple):
    """What was asked, and what it took.

    Args:
        jobs: all of them.
        token_times_s: of each client, when its tokens came.
        spent_s: from the first request to the last token.
    """

    jobs: list[Recorded]
    token_times_s: list[list[float]]
    spent_s: float


def _in_turn(engine: Engine, wanted: Sequence[Sequence[Generate]]) -> _Ran:
    started_s = time.monotonic()
    jobs = [
        [engine.run(each, client=str(number)) for each in requests]
        for number, requests in enumerate(wanted)
    ]
    return _ran(jobs, started_s)


def _at_once(engine: Engine, wanted: Sequence[Sequence[Generate]]) -> _Ran:
    jobs: list[list[Recorded]] = [[] for _ in wanted]
    errors: list[BaseException] = []
    start = threading.Barrier(len(wanted) + 1)

    def client(number: int) -> None:
        start.wait()
        try:
            for each in wanted[number]:
                jobs[number].append(engine.run(each, client=str(number)))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(len(wanted))]
    for thread in threads:
        thread.start()
    start.wait()
    started_s = time.monotonic()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return _ran(jobs, started_s)


def _ran(jobs: list[list[Recorded]], started_s: float) -> _Ran:
    every = [*itertools.chain(*jobs)]
    return _Ran(
        every,
        [[at_s for job in mine for at_s in job.token_times_s] for mine in jobs],
        max(job.ended_s for job in every) - started_s,
    )


def fair_share(token_times_s: Sequence[Sequence[float]]) -> float:
    """The least served client's tokens over an even share, while all had work.

    Args:
        token_times_s: of each client, when its tokens came, in order. All had work from the
            start until the first of them had its last token.
    """
    if not token_times_s or not all(token_times_s):
        return 0.0
    until_s = min(times[-1] for times in token_times_s)
    counts = [sum(at_s <= until_s for at_s in times) for times in token_times_s]
    return min(counts) * len(counts) / sum(counts)


# -- findings ----------------------------------------------------------------------------


def report(bench: Bench) -> Part:
    """Tables, plot and verdicts."""
    records = bench.of(Crowd)
    if not records:
        return Part()
    sizes = sorted({record.n_clients for record in records})
    rows = []
    verdicts: list[Verdict] = []
    for phase, n_clients in itertools.product(PHASES, sizes):
        chosen = [r for r in records if (r.phase, r.n_clients) == (phase, n_clients)]
        if not chosen:
            continue
        gain = resampled(chosen, in_turn_over_together)
        share = resampled([r.share for r in chosen], min) if phase == "warm" else None
        rows.append(_row(phase, n_clients, chosen, gain, share))
        if n_clients == JUDGED:
            name = f"{n_clients} clients, {phase}: throughput over the same requests in turn"
            verdicts.append(against(name, gain, 1.0, "the goal of", unit="ratio"))
            if share is not None:
                name = f"{n_clients} clients: least served client's tokens over an even share"
                verdicts.append(against(name, share, FAIR_GOAL, "the goal of", unit="ratio"))
    return Part(
        sentence=_sentence(records),
        tables=(_table(rows),),
        plots=(_plot(records, sizes),),
        verdicts=tuple(verdicts),
    )


def in_turn_over_together(records: Sequence[Crowd]) -> float:
    """Time of the requests in turn over their time at once; above 1 sharing is faster."""
    return sum(r.in_turn_s for r in records) / sum(r.together_s for r in records)


def _throughput(records: Sequence[Crowd]) -> float:
    return sum(r.n_tokens for r in records) / sum(r.together_s for r in records)


def _sentence(records: Sequence[Crowd]) -> str:
    chosen = [r for r in records if (r.n_clients, r.phase) == (JUDGED, "warm")]
    if not chosen:
        return ""
    gain = resampled(chosen, in_turn_over_together)
    return f"{JUDGED} clients at once: {show(gain, 'ratio')} of the throughput in turn."


def _row(
    phase: Phase, n_clients: int, records: Sequence[Crowd], gain: Figure, share: Figure | None
) -> tuple[Cell, ...]:
    firsts = [ms for r in records for ms in r.ttft_ms]
    totals = [ms for r in records for ms in r.total_ms]
    alone = [ms for r in records for ms in r.alone_ttft_ms]
    return (
        *(n_clients, phase),
        resampled(records, _throughput),
        gain,
        *(percentile(firsts, 0.5), percentile(firsts, 0.95), percentile(alone, 0.5)),
        *(percentile(totals, 0.5), percentile(totals, 0.95)),
        share,
        len(firsts),
    )


def _table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        title="Clients at once",
        columns=(
            *(Column("clients", "count"), Column("prompts")),
            Column("generated tokens/s", "rate"),
            Column("over in turn", "ratio"),
            *(Column("first token p50", "ms"), Column("p95", "ms"), Column("in turn p50", "ms")),
            *(Column("whole p50", "ms"), Column("whole p95", "ms")),
            Column("least share", "ratio"),
            Column("N", "count"),
        ),
        rows=tuple(rows),
        note=f"Each client has a slot and a text of its own of {N_PROMPT} tokens and gets {N_GEN} "
        "tokens a request. Cold: one request each, nothing evaluated before. Warm: three more, "
        "each a few words further, the next as soon as the one before is answered. Least share: "
        "tokens of the least served client over an even share, from the start until the first "
        "client has all of its tokens; the worst repetition.",
    )


def _plot(records: Sequence[Crowd], sizes: Sequence[int]) -> Plot:
    series = []
    for phase in PHASES:
        figures = []
        for size in sizes:
            chosen = [r for r in records if (r.phase, r.n_clients) == (phase, size)]
            figures.append(resampled(chosen, _throughput) if chosen else None)
        known = [(s, f) for s, f in zip(sizes, figures, strict=True) if f and not math.isnan(f.low)]
        series.append(
            Series(
                name=phase,
                x=tuple(float(size) for size, _ in known),
                y=tuple(figure.value for _, figure in known),
                low=tuple(figure.low for _, figure in known),
                high=tuple(figure.high for _, figure in known),
            )
        )
    return Plot(
        title="Throughput by number of clients",
        kind="line",
        x_label="clients at once",
        y_label="generated tokens a second, together",
        series=tuple(series),
        x_unit="count",
        y_unit="rate",
    )
