"""``python -m benchmarks flow``."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import options
from benchmarks.figures import wilson
from benchmarks.flow.play import Key, script, typist
from benchmarks.latency import session
from benchmarks.latency.session import Step
from benchmarks.records import RunFile
from benchmarks.summary import Column, RunInfo, Summary, Table, Verdict
from lsp_server.errors import UsageError

_DESCRIPTION = """\
Type a session key by key into midfill's language server, wait for every answer, and count: how many
keys the cache answers, how often the engine is asked, and how often a suggestion changed although
what was typed is what it says (flicker, which must not be)."""
_CHANGES = ("same", "grown", "shorter", "other", "gone")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "flow",
        help="What the cache answers while somebody types, and whether suggestions flicker.",
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
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N keys")
    parser.add_argument(
        "--scripted",
        action="store_true",
        help="instead of a model, an engine that knows what comes next and errs every third time",
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Type and count."""
    typed = session.load(args.session)
    steps = session.steps(typed, 0.0, every_key=True)[: args.limit]
    if not steps:
        raise UsageError(
            f"Nothing is typed in the session {args.session}.",
            code="no_requests",
            hint="It needs an event of the type edit.",
        )
    with tempfile.TemporaryDirectory(prefix="mff-") as folder:
        model = args.model
        if args.scripted:
            path = Path(folder) / "script.json"
            path.write_text(json.dumps(script(steps, args.seed)), "utf-8")
            model = f"scripted:{path}"
        recipe = {
            "session": typed.sha256[:12], "limit": args.limit, "scripted": args.scripted,
        }  # fmt: skip
        info = options.run_info(args, "flow", recipe, model=model)
        path = options.results_path(args, info)
        file = RunFile(path, info, Key, restart=args.restart)
        if len(file.records) != len(steps):
            # All of it again: what an interrupted run had in its caches is gone.
            file = RunFile(path, info, Key, restart=True)
            asyncio.run(_measure(model, steps, file))
    return options.finish(args, summarise(info, [*file.records.values()], typed.header.note))


async def _measure(model: str, steps: list[Step], file: RunFile[Key]) -> None:
    from rich.console import Console
    from rich.progress import Progress

    settings = {"model": {"id": model}, "engine": {"kv_store_mib": 0, "idle_exit_s": 30}}
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("keys", total=len(steps))

        def keep(key: Key) -> None:
            file.append(key)
            progress.advance(task)

        async with typist(settings) as typing:
            await typing.play(steps, keep)


def summarise(info: RunInfo, keys: list[Key], note: str) -> Summary:
    """The findings.

    Args:
        info: of the run.
        keys: its requests.
        note: of the session.
    """
    n = len(keys)
    n_asked = sum(key.asked_engine for key in keys)
    n_flickers = sum(key.flickered for key in keys)
    matched = [key for key in keys if key.matched]
    cached = wilson(sum(key.origin == "cache" for key in keys), n)
    engine = wilson(n_asked, n)
    kept = wilson(sum(key.origin == "cache" for key in matched), len(matched)) if matched else None
    shown = wilson(sum(key.origin != "" for key in keys), n)
    headline = (
        f"{cached.value:.1%} of {n:,} keystrokes are answered from the cache; the engine is asked "
        f"{100 * n_asked / n:.1f} times per 100 keystrokes; {n_flickers:,} suggestions changed "
        f"that were right so far (of {len(matched):,})."
    )
    verdict = Verdict(
        text=f"{n_flickers:,} flickers beside the goal of none (N = {len(matched):,} keys that "
        "were typed as suggested).",
        outcome="level" if n_flickers == 0 else "behind",
    )
    flow = Table(
        title="Flow",
        columns=(Column("figure"), Column("value", "percent"), Column("N", "count")),
        rows=(
            ("keys answered from the cache", cached, n),
            ("keys with a suggestion", shown, n),
            ("keys for which the engine is asked", engine, n),
            ("keys typed as suggested that the cache answers", kept, len(matched)),
        ),
    )
    changes = Table(
        title="What became of a suggestion whose beginning was typed",
        columns=(Column("change"), Column("keys", "count")),
        rows=tuple((name, sum(key.change == name for key in matched)) for name in _CHANGES),
        note="grown: it goes on behind what was shown before; shorter, other and gone are flicker.",
    )
    return Summary(
        title="Flow of typing",
        headline=headline,
        run=info,
        n=n,
        tables=(flow, changes),
        verdicts=(verdict,),
        notes=("A request after every key, each answered before the next key.", note),
    )
