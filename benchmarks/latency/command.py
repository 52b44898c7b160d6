"""``python -m benchmarks latency``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import options
from benchmarks.latency import build, findings, session
from benchmarks.latency.session import Step
from benchmarks.latency.sides.llama_server import LlamaVim, LlamaVimLimited, SamePrompt
from benchmarks.latency.sides.midfill import Midfill
from benchmarks.latency.sides.openai_server import LlamaCppServer
from benchmarks.latency.sides.plain import Plain
from benchmarks.latency.sides.setup import Setup
from benchmarks.latency.sides.types import Side
from benchmarks.latency.turns import Request, play
from benchmarks.records import RunFile
from context.types import Budget
from lsp_server.engine.launch import engine_options
from lsp_server.errors import UsageError
from lsp_server.settings import ModelSettings, Settings

Make = Callable[[Setup], Side]
PEERS = ("llama-vim", "llama-vim-limited", "same-prompt", "llama-cpp-server", "llama-cpp-python")
_BUILT = PEERS[:3]
_N_CTX = 8192

_DESCRIPTION = """\
Replay a typing session to midfill's language server and to its peers, and measure how long each
takes to the first token, the first displayable text, the first line and the whole suggestion.
Peers: llama-vim (llama.cpp's llama-server on /infill with llama.vim's settings),
llama-vim-limited (the same with llama.vim's time limit), same-prompt (llama-server with midfill's
prompt), llama-cpp-server (llama_cpp.server on /v1/completions) and llama-cpp-python (the library).
The sides take turns at every request; with --gaps whenever the cursor goes elsewhere.
llama-server is built once, from the llama.cpp inside the sources of the installed
llama-cpp-python; that takes about four minutes."""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "latency",
        help="How long until the first token and the first line, beside llama-server and others.",
        description=_DESCRIPTION,
    )
    options.add_common(parser)
    parser.add_argument(
        "--session",
        type=Path,
        default=session.DEFAULT_FILE,
        metavar="FILE",
        help="typing session, JSON lines (default: the one that is shipped)",
    )
    parser.add_argument(
        "--limit", type=_count, metavar="N", help="only the first N requests of the session"
    )
    parser.add_argument(
        "--repeat", type=_count, default=1, metavar="N", help="play the session N times (default 1)"
    )
    parser.add_argument(
        "--peers",
        type=_peers,
        default=PEERS,
        metavar="NAMES",
        help="peers, with commas between them, or none (default: all)",
    )
    gaps = parser.add_mutually_exclusive_group()
    gaps.add_argument(
        "--gaps",
        action="store_true",
        help="type with the session's own gaps: newer requests overtake older ones",
    )
    gaps.add_argument(
        "--no-gaps",
        dest="gaps",
        action="store_false",
        help="wait for every answer before typing on (default)",
    )
    parser.add_argument(
        "--pause-ms",
        type=float,
        default=300.0,
        metavar="MS",
        help="a key is followed by a request when nothing is typed for so long (default 300)",
    )
    parser.add_argument("--every-key", action="store_true", help="a request after every key")
    parser.add_argument("--n-prefix-tokens", type=_count, default=768, metavar="N",
                        help="midfill's prompt left of the cursor (default 768)")  # fmt: skip
    parser.add_argument("--n-suffix-tokens", type=_count, default=192, metavar="N",
                        help="midfill's prompt right of the cursor (default 192)")  # fmt: skip
    parser.add_argument("--max-tokens", type=_count, default=96, metavar="N",
                        help="longest suggestion (default 96; llama.vim's is 128)")  # fmt: skip
    parser.add_argument(
        "--build-only", action="store_true", help="build llama-server and llama-bench, and end"
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    with _interruptible():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    if args.build_only:
        print(_build().folder)
        return 0
    typed = session.load(args.session)
    steps = session.steps(typed, args.pause_ms, every_key=args.every_key)[: args.limit]
    if not steps:
        raise UsageError(
            f"Nothing is typed in the session {args.session}.",
            code="no_requests",
            hint="It needs an event of the type edit.",
        )
    setup = _setup(args)
    makers, notes = _makers(args.peers)
    info = options.run_info(args, "latency", _recipe(args, typed, list(makers)), model=args.model)
    file = RunFile(options.results_path(args, info), info, Request, restart=args.restart)
    asyncio.run(_measure(args, setup, makers, steps, file))
    requests = [r for r in file.records.values() if r.repetition < args.repeat]
    return options.finish(args, findings.summarise(info, requests, (typed.header.note, *notes)))


def _setup(args: argparse.Namespace) -> Setup:
    from lsp_server.models.cores import physical_cores

    resolved = engine_options(Settings(model=ModelSettings(id=args.model)))
    return Setup(
        model=args.model,
        model_path=Path(resolved.model_path),
        n_threads=physical_cores(),
        n_ctx=_N_CTX,
        budget=Budget(n_prefix_tokens=args.n_prefix_tokens, n_suffix_tokens=args.n_suffix_tokens),
        max_tokens=args.max_tokens,
        seed=args.seed,
    )


def _recipe(args: argparse.Namespace, typed: session.Session, sides: list[str]) -> dict[str, Any]:
    return {
        "session": typed.sha256[:12],
        "limit": args.limit,
        "gaps": args.gaps,
        "pause_ms": args.pause_ms,
        "every_key": args.every_key,
        "n_prefix_tokens": args.n_prefix_tokens,
        "n_suffix_tokens": args.n_suffix_tokens,
        "max_tokens": args.max_tokens,
        "sides": sides,
    }


def _makers(peers: Sequence[str]) -> tuple[dict[str, Make], list[str]]:
    """How each side is made, and why some are left out."""
    makers: dict[str, Make] = {"midfill": Midfill}
    notes = []
    if any(name in _BUILT for name in peers):
        try:
            programs = _build()
        except UsageError as error:
            notes.append(f"Without llama-server: {error}")
        else:
            notes.append(_libraries_note(programs))
            for name, kind in zip(_BUILT, (LlamaVim, LlamaVimLimited, SamePrompt), strict=True):
                if name in peers:
                    makers[name] = lambda setup, kind=kind: kind(setup, programs.server)  # type: ignore[misc]
    others: dict[str, Make] = {"llama-cpp-server": LlamaCppServer, "llama-cpp-python": Plain}
    for name, make in others.items():
        if name in peers:
            makers[name] = make
    return makers, notes


def _libraries_note(programs: build.Programs) -> str:
    whose = (
        "runs on the very libraries that midfill's engine loads"
        if programs.same_libraries
        else "was built whole, with llama.cpp's own defaults"
    )
    return f"llama-server, from the sources of llama-cpp-python {programs.version}, {whose}."


def _build() -> build.Programs:
    from rich.console import Console
    from rich.progress import Progress

    if found := build.find():
        return found
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("llama-server", total=1.0)
        return build.build(
            lambda what, share: progress.update(
                task, description=f"llama-server: {what}", completed=share
            )
        )


async def _measure(
    args: argparse.Namespace,
    setup: Setup,
    makers: dict[str, Make],
    steps: Sequence[Step],
    file: RunFile[Request],
) -> None:
    from rich.console import Console
    from rich.progress import Progress

    n_requests = len(makers) * len(steps)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("requests", total=n_requests * args.repeat)
        for repetition in range(args.repeat):
            # A repetition that was interrupted is played again from its start: what the KV caches
            # held at its middle is gone.
            if sum(r.repetition == repetition for r in file.records.values()) == n_requests:
                progress.advance(task, n_requests)
                continue
            measured: list[Request] = []

            def keep(request: Request, measured: list[Request] = measured) -> None:
                measured.append(request)
                progress.advance(task)

            async with contextlib.AsyncExitStack() as stack:
                sides = await _started(setup, makers, stack)
                await play(sides, steps, repetition, keep, gaps=args.gaps)
            for request in measured:
                file.append(request)


async def _started(
    setup: Setup, makers: dict[str, Make], stack: contextlib.AsyncExitStack
) -> list[Side]:
    sides = []
    for make in makers.values():
        side = make(setup)
        stack.push_async_callback(side.aclose)
        await side.start()
        sides.append(side)
    return sides


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """A SIGTERM ends servers and compilers as Ctrl-C does."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _peers(text: str) -> tuple[str, ...]:
    if text == "none":
        return ()
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(PEERS)}")
    return tuple(name for name in PEERS if name in names)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
