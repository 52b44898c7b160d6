"""``python -m benchmarks engine``."""

from __future__ import annotations

import argparse
import contextlib
import signal
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from benchmarks import options
from benchmarks.corpus import fresh
from benchmarks.engine import sections
from benchmarks.engine.bench import Bench, Part, Setup, changed
from benchmarks.engine.sections import Measurement, Section
from benchmarks.extras import needed
from benchmarks.latency import build, session
from benchmarks.records import Record, RunFile
from benchmarks.summary import RunInfo, Summary
from context.types import Budget
from lsp_server.engine.launch import engine_options
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import UsageError
from lsp_server.settings import ModelSettings, Settings

_BUDGET = Budget(n_prefix_tokens=768, n_suffix_tokens=192)
_CLIENTS = (1, 2, 4, 8, 16)
_DEPTHS = (4096, 16384 - 1024)
_LENGTHS = (1024,)
_REPETITIONS = 10
# Sections in which programs of llama.cpp take part.
_BESIDE_LLAMA_CPP = ("speed", "lengths")

_DESCRIPTION = """\
Measure midfill's engine in this process: prefill and decode beside llama.cpp's own llama-bench,
several clients on one model, cancellation, reuse of the KV cache while somebody types, whether
moved text serves as well as evaluated text, half-typed words, and what flash attention, KV types,
weights and the size of the context cost. Nothing else should run on the machine meanwhile. All
sections together take some hours on two cores; an interrupted run goes on where it ended."""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "engine",
        help="How fast the engine is beside llama-bench, how it is shared, and what it reuses.",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_list_of_sections(),
    )
    options.add_common(parser)
    fresh.add_corpus_option(parser)
    parser.add_argument("--sections", default="all", metavar="NAMES",
                        help="sections, with commas between them (default: all)")  # fmt: skip
    parser.add_argument("--repetitions", type=_count, default=_REPETITIONS, metavar="N",
                        help=f"of each speed and time (default {_REPETITIONS})")  # fmt: skip
    parser.add_argument("--limit", type=_count, metavar="N",
                        help="most requests of reuse (default 300), holes of quality (default "
                        "500), words of healing (default 300)")  # fmt: skip
    parser.add_argument("--clients", type=_counts, default=_CLIENTS, metavar="LIST",
                        help="numbers of clients, with commas (default 1,2,4,8,16)")  # fmt: skip
    parser.add_argument("--depths", type=_counts, default=_DEPTHS, metavar="LIST",
                        help="tokens before what is timed, for attention and kv "
                        f"(default {','.join(map(str, _DEPTHS))})")  # fmt: skip
    parser.add_argument("--lengths", type=_counts, default=_LENGTHS, metavar="LIST",
                        help="prompt tokens, for the section lengths (default 1024)")  # fmt: skip
    parser.add_argument("--f16", type=Path, metavar="FILE",
                        help="the same model in F16, for the section weights (register it first: "
                        "midfill model fetch --file FILE)")  # fmt: skip
    parser.add_argument("--threads", type=_count, default=0, metavar="N",
                        help="CPU threads of the engine and llama-bench (default: every physical "
                        "core)")  # fmt: skip
    parser.add_argument("--session", type=Path, default=session.DEFAULT_FILE, metavar="FILE",
                        help="typing session of the section reuse (default: the one that is "
                        "shipped)")  # fmt: skip
    parser.add_argument("--n-prefix-tokens", type=_count, default=_BUDGET.n_prefix_tokens,
                        metavar="N", help="prompts left of the cursor (default 768)")  # fmt: skip
    parser.add_argument("--n-suffix-tokens", type=_count, default=_BUDGET.n_suffix_tokens,
                        metavar="N", help="prompts right of the cursor (default 192)")  # fmt: skip
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    wanted = sections.chosen(args.sections)
    typed = session.load(args.session)
    engine = _engine(args)
    info = options.run_info(args, "engine", _recipe(args, typed.sha256), model=args.model)
    with needed("The engine"):
        import llama_cpp  # noqa: F401
    file: RunFile[Record] = RunFile(
        options.results_path(args, info), info, record_type(), restart=args.restart
    )
    with _ended_like_interrupted(), _progress() as progress:
        setup = _setup(args, engine, wanted, progress)
        bench = Bench(setup, file, progress)
        for section in wanted.values():
            section.measure(bench)
    return options.finish(args, summary(info, bench, wanted))


def record_type() -> type[Record]:
    """Of the lines of a results file: any measurement, told apart by its tag."""
    return cast("type[Record]", Measurement)


def summary(info: RunInfo, bench: Bench, wanted: dict[str, Section]) -> Summary:
    """What the sections found, one after another.

    Args:
        info: what the run was made with.
        bench: with all records.
        wanted: the sections.
    """
    parts: list[Part] = [section.report(bench) for section in wanted.values()]
    sentences = [part.sentence for part in parts if part.sentence]
    return Summary(
        title="Engine",
        headline=" ".join(sentences) or "Nothing was measured.",
        run=info,
        n=sum(len(bench.of(kind)) for kind in typing.get_args(Measurement)),
        tables=tuple(table for part in parts for table in part.tables),
        plots=tuple(plot for part in parts for plot in part.plots),
        verdicts=tuple(verdict for part in parts for verdict in part.verdicts),
        notes=tuple(note for part in parts for note in part.notes),
    )


def _engine(args: argparse.Namespace) -> EngineOptions:
    engine = engine_options(Settings(model=ModelSettings(id=args.model)))
    if engine.backend != "llama":
        raise UsageError(
            "The engine is measured with a model.",
            code="model_needed",
            hint="Name one with --model; midfill model list shows those that are fetched.",
        )
    # What is compared is switched on in its own section; nothing is kept for a later start.
    return changed(
        engine,
        n_threads=args.threads or engine.n_threads,
        speculation="off",
        kv_store_mib=0,
        unload_idle_s=0.0,
    )


def _recipe(args: argparse.Namespace, session_sha256: str) -> dict[str, Any]:
    """What changes the results, except which of them there are."""
    return {
        "threads": args.threads,
        "session": session_sha256[:12],
        "n_prefix_tokens": args.n_prefix_tokens,
        "n_suffix_tokens": args.n_suffix_tokens,
    }


def _setup(
    args: argparse.Namespace, engine: EngineOptions, wanted: dict[str, Section], progress: Progress
) -> Setup:
    programs, without = None, ""
    if any(name in wanted for name in _BESIDE_LLAMA_CPP):
        programs, without = _llama_bench(progress)
    return Setup(
        options=engine,
        budget=Budget(n_prefix_tokens=args.n_prefix_tokens, n_suffix_tokens=args.n_suffix_tokens),
        seed=args.seed,
        repetitions=args.repetitions,
        limit=args.limit,
        clients=args.clients,
        depths=args.depths,
        lengths=args.lengths,
        corpus=fresh.corpus_folder(args),
        session=args.session,
        f16=args.f16.expanduser() if args.f16 else None,
        programs=programs,
        without=without,
    )


def _llama_bench(progress: Progress) -> tuple[build.Programs | None, str]:
    """What is built; or why nothing is, in which case the rest is measured without it."""
    if found := build.find():
        return found, ""
    task = progress.add_task("llama-bench", total=1.0)
    try:
        return build.build(
            lambda what, share: progress.update(
                task, description=f"llama-bench: {what}", completed=share
            )
        ), ""
    except UsageError as error:
        return None, error.message


def _progress() -> Progress:
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


@contextlib.contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """SIGTERM, as ``timeout`` and job systems send it, ends a run like Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _list_of_sections() -> str:
    width = max(map(len, sections.SECTIONS))
    lines = [f"  {name:{width}}  {each.about}" for name, each in sections.SECTIONS.items()]
    return "\n".join(["sections:", *lines])


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _counts(text: str) -> tuple[int, ...]:
    return tuple(sorted({_count(part) for part in text.split(",")}))
