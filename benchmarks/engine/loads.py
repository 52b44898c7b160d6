"""Configurations side by side: flash attention, KV types, n-grams, weights, size of the context."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Literal, NamedTuple

import msgspec

from benchmarks.engine import probe
from benchmarks.engine.bench import Bench, Part, Setup, changed, has_option, resampled
from benchmarks.figures import Figure
from benchmarks.summary import Cell, Column, Table, Verdict, show
from benchmarks.verdicts import against
from lsp_server.engine.options import EngineOptions
from lsp_server.models.verify import sha256_of

Topic = Literal["attention", "kv", "ngrams", "weights", "memory"]
_N_PROMPT = 512
_N_GEN = 32
_ROOM = 1024
_CONTEXTS = (4096, 8192, 16384)
_N_CORPUS_TOKENS = 1_000_000
# Repetitions in one process; a process has to evaluate all that stands before them.
_PER_PROCESS = 3
_MAX_ROUNDS = 2


class Load(msgspec.Struct, frozen=True, kw_only=True, tag="load"):
    """One configuration, measured in one process.

    Args:
        topic: what is compared.
        case: the configuration, in words.
        depth: tokens in the KV cache before what is timed.
        round: number of the process.
        prefill_tokens_per_s: of each repetition.
        decode_tokens_per_s: of each repetition.
        rss_bytes: memory of the process.
        n_ctx: cells of the KV cache.
    """

    topic: Topic
    case: str
    depth: int
    round: int
    prefill_tokens_per_s: tuple[float, ...]
    decode_tokens_per_s: tuple[float, ...]
    rss_bytes: int
    n_ctx: int

    @property
    def key(self) -> str:
        """Unique in its run."""
        return f"load|{self.topic}|{self.case}|{self.depth}|{self.round}"


class Case(NamedTuple):
    """One configuration."""

    topic: Topic
    name: str
    options: EngineOptions
    depth: int = 0
    round: int = 0
    n_corpus_tokens: int = 0

    @property
    def key(self) -> str:
        """Of its record."""
        return f"load|{self.topic}|{self.name}|{self.depth}|{self.round}"


def attention(setup: Setup) -> list[Case]:
    """Flash attention on and off, deep in the context."""
    return [
        Case("attention", f"flash attention {state}", _with(setup, depth, flash_attention=state),
             depth)
        for depth in setup.depths
        for state in ("on", "off")
    ]  # fmt: skip


def kv(setup: Setup) -> list[Case]:
    """Keys and values in f16 and in q8_0, where the engine has a setting for that."""
    if not has_option("kv_type"):
        return []
    return [
        Case("kv", f"{kind} KV", _with(setup, depth, kv_type=kind), depth)
        for depth in setup.depths[:1]
        for kind in ("f16", "q8_0")
    ]


def ngrams(setup: Setup) -> list[Case]:
    """With an n-gram model of a large workspace, and without one."""
    if not has_option("n_corpus_tokens"):
        return []
    name = f"n-grams of {_N_CORPUS_TOKENS:,} tokens"
    return [
        Case("ngrams", name, _with(setup, 0), n_corpus_tokens=_N_CORPUS_TOKENS),
        Case("ngrams", "no n-grams", _with(setup, 0)),
    ]


def weights(setup: Setup) -> list[Case]:
    """The model as it is and in F16."""
    if setup.f16 is None:
        return []
    named = f"F16 ({sha256_of(setup.f16)[:12]})"
    return [
        Case("weights", "as given", _with(setup, 0)),
        Case("weights", named, _with(setup, 0, model_path=str(setup.f16))),
    ]


def memory(setup: Setup) -> list[Case]:
    """Contexts of several sizes."""
    return [
        Case("memory", f"{n_ctx:,} cells", changed(setup.options, n_ctx=n_ctx))
        for n_ctx in _CONTEXTS
    ]


CASES: dict[Topic, Callable[[Setup], list[Case]]] = {
    "attention": attention,
    "kv": kv,
    "ngrams": ngrams,
    "weights": weights,
    "memory": memory,
}


def _with(setup: Setup, depth: int, **changes: object) -> EngineOptions:
    n_ctx = max(4096, -(-(depth + _N_PROMPT + _N_GEN + _ROOM) // 1024) * 1024)
    return changed(setup.options, n_ctx=n_ctx, n_slots=1, **changes)


def rounds(cases: Sequence[Case], n_rounds: int) -> list[Case]:
    """All cases, round by round; every other round begins with the last."""
    return [
        case._replace(round=number)
        for number in range(n_rounds)
        for case in (cases if number % 2 == 0 else reversed(cases))
    ]


def measure(bench: Bench, topic: Topic) -> None:
    """Measure what is not measured yet."""
    setup = bench.setup
    n_rounds = 1 if topic == "memory" else min(_MAX_ROUNDS, setup.repetitions)
    cases = rounds(CASES[topic](setup), n_rounds)
    for case in bench.left(topic, cases, lambda one: one.key):
        found = probe.run(
            probe.Probe(
                options=case.options,
                depth=case.depth,
                n_prompt=_N_PROMPT,
                n_gen=_N_GEN,
                repetitions=1 if topic == "memory" else _PER_PROCESS,
                seed=setup.seed,
                n_corpus_tokens=case.n_corpus_tokens,
            )
        )
        bench.keep(
            Load(
                topic=topic,
                case=case.name,
                depth=case.depth,
                round=case.round,
                prefill_tokens_per_s=found.prefill_tokens_per_s,
                decode_tokens_per_s=found.decode_tokens_per_s,
                rss_bytes=found.rss_bytes,
                n_ctx=found.n_ctx,
            )
        )


# -- findings ----------------------------------------------------------------------------

_TITLES: dict[Topic, str] = {
    "attention": "Flash attention",
    "kv": "Types of keys and values",
    "ngrams": "N-grams of the workspace",
    "weights": "Types of weights",
    "memory": "Size of the context",
}
# Said where nothing was measured.
_MISSING: dict[Topic, str] = {
    "weights": "Weights in F16 are not measured: give the file with --f16.",
    "kv": "Types of keys and values are not measured: this engine has no setting for them.",
}
# Where the first case, the default, is compared with the second.
_JUDGED: tuple[Topic, ...] = ("attention", "kv", "ngrams")


def report(bench: Bench, topic: Topic) -> Part:
    """Table and verdicts."""
    records = _of(bench, topic)
    if not records:
        return Part(notes=(_MISSING[topic],) if topic in _MISSING else ())
    groups: dict[tuple[int, str], list[Load]] = {}
    for record in records:
        groups.setdefault((record.depth, record.case), []).append(record)
    ordered = sorted(groups.items(), key=lambda item: item[0][0])
    rows = [_row(chosen) for _, chosen in ordered]
    verdicts: list[Verdict] = []
    sentences: list[str] = []
    if topic in _JUDGED:
        for depth in sorted({record.depth for record in records}):
            cases = [chosen for (at, _), chosen in ordered if at == depth]
            verdicts += _verdicts(cases)
            sentences += _sentences(cases)
    return Part(
        tables=(_table(topic, rows),), verdicts=tuple(verdicts), sentence=" ".join(sentences)
    )


def _of(bench: Bench, topic: Topic) -> list[Load]:
    return [record for record in bench.of(Load) if record.topic == topic]


def _verdicts(cases: Sequence[Sequence[Load]]) -> list[Verdict]:
    """The first case against the second, as they are the default and what it replaces."""
    if len(cases) != 2:
        return []
    first, second = cases
    verdicts = []
    for what, speeds in (("prefill", _prefills), ("decode", _decodes)):
        found = faster(speeds(first), speeds(second))
        name = f"{what} after {first[0].depth:,} tokens, {first[0].case} over {second[0].case}"
        verdicts.append(against(name, found, 1.0, "the level of", unit="ratio"))
    return verdicts


def _sentences(cases: Sequence[Sequence[Load]]) -> list[str]:
    """What the verdicts say, in short."""
    if len(cases) != 2:
        return []
    first, second = cases
    found = (faster(_prefills(first), _prefills(second)), faster(_decodes(first), _decodes(second)))
    prefill, decode = (show(figure, "ratio") for figure in found)
    return [
        f"After {first[0].depth:,} tokens {first[0].case} makes prefill {prefill} and decode "
        f"{decode} times as fast as {second[0].case}."
    ]


def faster(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Median speed over median speed; repetitions are paired by their order.

    Args:
        ours: tokens a second.
        theirs: tokens a second.
    """
    pairs = list(zip(ours, theirs, strict=False))
    if not pairs:
        return Figure(value=math.nan, low=math.nan, high=math.nan, n=0)
    return resampled(pairs, lambda drawn: median(a for a, _ in drawn) / median(b for _, b in drawn))


def _prefills(records: Sequence[Load]) -> list[float]:
    return [speed for record in records for speed in record.prefill_tokens_per_s]


def _decodes(records: Sequence[Load]) -> list[float]:
    return [speed for record in records for speed in record.decode_tokens_per_s]


def _row(records: Sequence[Load]) -> tuple[Cell, ...]:
    return (
        records[0].case,
        records[0].n_ctx,
        records[0].depth,
        resampled(_prefills(records), median),
        resampled(_decodes(records), median),
        median(record.rss_bytes for record in records) / 2**20,
        len(_prefills(records)),
    )


def _table(topic: Topic, rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        title=_TITLES[topic],
        columns=(
            *(Column("engine"), Column("cells", "count"), Column("tokens before", "count")),
            *(Column("prefill, tokens/s", "rate"), Column("decode, tokens/s", "rate")),
            Column("RSS, MiB", "count"),
            Column("N", "count"),
        ),
        rows=tuple(rows),
        note=f"{_N_PROMPT} tokens of prompt and {_N_GEN} generated ones behind so many tokens "
        "that are in the KV cache already; each configuration in a process of its own, whose "
        "memory holds the mapped weights too. Medians with 95 % bootstrap intervals.",
    )
