"""What other files are worth in the prompt: each source left out, each one alone, each budget.

Each target of the fresh-lines corpus is typed again once for each variant, with the questions at
the same places; model, sampling and filters are the same. Then the index of a folder is timed,
and the requests in it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import options
from benchmarks.context import retrieval, speed
from benchmarks.context.variants import DEFAULT_TOKENS, FULL, variants
from benchmarks.corpus import fresh, order
from benchmarks.peers.findings import PeerWalk, findings
from benchmarks.peers.run import Asked, ask_all, by_file, keys
from benchmarks.records import RunFile
from lsp_server.errors import UsageError

_LIMIT = 600
_SECTIONS = ("ablation", "retrieval", "speed")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "context",
        help="what other files are worth in the prompt, and what the index costs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--section", choices=_SECTIONS, default="ablation",
                        help="ablation asks a model, retrieval looks for names in the prompts, "
                        "speed times an index (default: ablation)")  # fmt: skip
    parser.add_argument("--variants", metavar="NAMES",
                        help="of the prompt, with commas (default: all): "
                        f"{', '.join(variants())}")  # fmt: skip
    parser.add_argument("--tokens", type=int, default=DEFAULT_TOKENS, metavar="N",
                        help=f"budget for other files (default {DEFAULT_TOKENS})")  # fmt: skip
    parser.add_argument("--limit", type=int, default=_LIMIT, metavar="N",
                        help=f"lines that are asked about (default {_LIMIT})")  # fmt: skip
    parser.add_argument("--folder", type=Path, metavar="FOLDER",
                        help="what is indexed (default: the packages this Python has)")  # fmt: skip
    fresh.add_corpus_option(parser)
    options.add_common(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.section == "speed":
        return speed.run(args)
    chosen = _chosen(args)
    return retrieval.run(args, chosen) if args.section == "retrieval" else _ablation(args, chosen)


def _ablation(args: argparse.Namespace, chosen: tuple[str, ...]) -> int:
    with Console(stderr=True).status("reading the corpus") as status:
        projects = fresh.fresh_lines(fresh.corpus_folder(args), progress=status.update)
    recipe = {
        "corpus": f"fresh-lines {fresh.fingerprint(projects)}",
        "tokens": args.tokens,
        "suffix": "full",
    }
    info = options.run_info(args, "context", recipe, model=args.model)
    plan = by_file(order.sample(projects, seed=args.seed, n_lines=args.limit))
    made = variants(args.tokens)
    asked = Asked(
        strategies={name: made[name] for name in chosen},
        model=args.model,
        suffix="full",
        seed=args.seed,
        heals=True,
    )
    file: RunFile[PeerWalk] = RunFile(
        options.results_path(args, info), info, PeerWalk, restart=args.restart
    )
    ask_all(asked, plan, file)
    wanted = keys(chosen, plan, "full")
    records = [record for key, record in file.records.items() if key in wanted]
    found = findings(records, chosen, info, ours=FULL, title="Other files in the prompt")
    return options.finish(args, found)


def _chosen(args: argparse.Namespace) -> tuple[str, ...]:
    known = variants(args.tokens)
    if not args.variants:
        return tuple(known)
    names = [name.strip() for name in args.variants.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(
            f"There is no variant '{unknown[0]}'.",
            code="unknown_variant",
            hint=f"Choose from: {', '.join(known)}",
        )
    return tuple(name for name in known if name in names)
