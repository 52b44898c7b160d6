"""Prompts of llama.vim, Continue, Tabby and Cody beside midfill's, on the same model.

Each target of the fresh-lines corpus is typed again once for each prompt, with the questions at
the same places. Model, sampling and filters are the same, so that the table shows what the
prompt alone is worth.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from benchmarks import options
from benchmarks.context.variants import DEFAULT_TOKENS
from benchmarks.corpus import fresh, order
from benchmarks.peers.cody_local import CodyLocal
from benchmarks.peers.continue_dev import Continue
from benchmarks.peers.findings import PeerWalk, findings
from benchmarks.peers.llama_vim import LlamaVim
from benchmarks.peers.plain import FileOnly, Midfill, MidfillWorkspace
from benchmarks.peers.run import Asked, Maker, ask_all, by_file, keys
from benchmarks.peers.tabby import Tabby
from benchmarks.records import RunFile
from benchmarks.replay.types import SuffixMode
from context.related import Wanted
from lsp_server.errors import UsageError

_LIMIT = 300
_MODES: tuple[SuffixMode, ...] = get_args(SuffixMode)

# By name, in the order in which they are asked.
STRATEGIES: dict[str, Maker] = {
    "midfill": lambda _count, _seed: Midfill(),
    "midfill-workspace": lambda _count, _seed: MidfillWorkspace(
        Wanted(n_tokens=DEFAULT_TOKENS), is_late=True
    ),
    "file-only": lambda count, _seed: FileOnly(count),
    "llama.vim": lambda count, seed: LlamaVim(count, seed=seed),
    "continue": lambda count, _seed: Continue(count),
    "tabby": lambda _count, _seed: Tabby(),
    "cody-local": lambda _count, _seed: CodyLocal(),
}


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "peers",
        help="compare midfill's prompts with those of other tools on the same model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--strategies",
        type=_strategies,
        default=tuple(STRATEGIES),
        metavar="NAMES",
        help=f"Whose prompts, separated by commas (default: {','.join(STRATEGIES)}).",
    )
    parser.add_argument(
        "--limit",
        type=_positive,
        default=_LIMIT,
        metavar="N",
        help="Take so many targets that they hold N lines that are asked about, and ask each "
        f"prompt at each of them (default {_LIMIT}; some 20 s a line on two cores for all "
        "prompts). A larger N goes on with the same run.",
    )
    parser.add_argument(
        "--suffix",
        choices=_MODES,
        default="full",
        help="What stands below the cursor: full (all that follows), function (without the rest "
        "of the function or class) or empty (default full).",
    )
    fresh.add_corpus_option(parser)
    options.add_common(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Ask with every prompt and print the table."""
    with Console(stderr=True).status("reading the corpus") as status:
        projects = fresh.fresh_lines(fresh.corpus_folder(args), progress=status.update)
    recipe = {
        "corpus": f"fresh-lines {fresh.fingerprint(projects)}",
        "strategies": list(args.strategies),
        "suffix": args.suffix,
        "prompts": _fingerprint(),
    }
    info = options.run_info(args, "peers", recipe, model=args.model)
    plan = by_file(order.sample(projects, seed=args.seed, n_lines=args.limit))
    asked = Asked(
        strategies={name: STRATEGIES[name] for name in args.strategies},
        model=args.model,
        suffix=args.suffix,
        seed=args.seed,
    )
    file: RunFile[PeerWalk] = RunFile(
        options.results_path(args, info), info, PeerWalk, restart=args.restart
    )
    ask_all(asked, plan, file)
    wanted = keys(args.strategies, plan, args.suffix)
    records = [record for key, record in file.records.items() if key in wanted]
    if not any(record.walk.opportunities for record in records):
        raise UsageError(
            "There is nothing to ask about in these targets.",
            code="no_opportunities",
            hint="Try a higher --limit or another --seed.",
        )
    return options.finish(args, findings(records, args.strategies, info))


def _fingerprint() -> str:
    """12 hex digits that change with the code that builds the prompts."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name not in ("command.py", "findings.py", "run.py"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _strategies(text: str) -> tuple[str, ...]:
    chosen = dict.fromkeys(word.strip() for word in text.split(","))
    if unknown := [word for word in chosen if word not in STRATEGIES]:
        raise argparse.ArgumentTypeError(
            f"unknown prompt '{unknown[0]}' (choose from {', '.join(STRATEGIES)})"
        )
    return tuple(name for name in STRATEGIES if name in chosen)


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1 on")
    return number
