"""Prompts of llama.vim, Continue, Tabby and Cody beside midfill's, on the same model.

Each target of the fresh-lines corpus is typed again once for each prompt, with the questions at
the same places. Model, sampling and filters are the same, so that the table shows what the
prompt alone is worth.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks import options
from benchmarks.corpus import fresh, order
from benchmarks.extras import needed
from benchmarks.peers.cody_local import CodyLocal
from benchmarks.peers.continue_dev import Continue
from benchmarks.peers.findings import PeerWalk, findings, peer_key
from benchmarks.peers.library import Library
from benchmarks.peers.llama_vim import LlamaVim
from benchmarks.peers.plain import FileOnly, Midfill
from benchmarks.peers.strategy import Strategy, TokenCounter
from benchmarks.peers.suggester import PeerSuggester
from benchmarks.peers.tabby import Tabby
from benchmarks.records import RunFile
from benchmarks.replay.run import walk_key
from benchmarks.replay.types import Project, SuffixMode, Target
from benchmarks.replay.walk import WalkOptions, walk
from lsp_server.engine import spawn
from lsp_server.engine.client import EngineClient
from lsp_server.engine.launch import engine_options
from lsp_server.errors import ModelInvalidError, UsageError
from lsp_server.settings import EngineSettings, ModelSettings, Settings

_LIMIT = 300
# The longest prompt is llama.vim's; see there.
_N_CTX_TOKENS = 8192
_IDLE_EXIT_S = 30
_RUNTIME = "MIDFILL_RUNTIME_DIR"
_MODES: tuple[SuffixMode, ...] = get_args(SuffixMode)

# By name, in the order in which they are asked.
STRATEGIES: dict[str, Callable[[TokenCounter, int], Strategy]] = {
    "midfill": lambda _count, _seed: Midfill(),
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
    file: RunFile[PeerWalk] = RunFile(
        options.results_path(args, info), info, PeerWalk, restart=args.restart
    )
    try:
        asyncio.run(_measure(args, plan, file))
    except KeyboardInterrupt:
        print(
            f"benchmarks: interrupted; {len(file.records)} walks are in {file.path}. The same "
            "command goes on with them.",
            file=sys.stderr,
        )
        raise
    keys = _keys(args.strategies, plan, args.suffix)
    records = [record for key, record in file.records.items() if key in keys]
    if not any(record.walk.opportunities for record in records):
        raise UsageError(
            "There is nothing to ask about in these targets.",
            code="no_opportunities",
            hint="Try a higher --limit or another --seed.",
        )
    return options.finish(args, findings(records, args.strategies, info))


async def _measure(
    args: argparse.Namespace, plan: Sequence[tuple[Project, Target]], file: RunFile[PeerWalk]
) -> None:
    missing = [key for key in _keys(args.strategies, plan, args.suffix) if key not in file.records]
    if not missing:
        return
    walk_options = WalkOptions(accepts=False, pauses_per_line=1, seed=args.seed)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
    async with private_engine(args.model) as client:
        count = token_counter(client.options.model_path)
        suggesters = {
            name: PeerSuggester(STRATEGIES[name](count, args.seed), client, seed=args.seed)
            for name in args.strategies
        }
        libraries: dict[Path, Library] = {}
        with bar:
            task = bar.add_task("walks", total=len(missing))
            for project, target in plan:
                if project.root not in libraries:
                    libraries[project.root] = Library.load(project.root)
                for name, suggester in suggesters.items():
                    if peer_key(name, walk_key(project, target, args.suffix)) in file.records:
                        continue
                    bar.update(task, description=f"{target.key} · {name}")
                    await suggester.start(project, libraries[project.root])
                    found = await walk(project, target, suggester, args.suffix, walk_options)
                    file.append(PeerWalk(strategy=name, walk=found))
                    bar.advance(task)


@contextlib.asynccontextmanager
async def private_engine(model: str) -> AsyncIterator[EngineClient]:
    """An engine of our own with one slot of 8,192 tokens.

    Other programs' requests do not get in between. A strategy asks for all lines of a target
    before the next one does, so that its last prompt is in the KV cache at all but the first;
    with a slot for each, every token would be compared with the others' prompts too.

    Args:
        model: ``auto``, an id, a path, or a script.

    Raises:
        ModelError: the model is not there.
    """
    outside = os.environ.get(_RUNTIME)
    # A short name: the address of a Unix socket holds about 100 bytes.
    runtime = Path(tempfile.mkdtemp(prefix="mfp-"))
    os.environ[_RUNTIME] = str(runtime)
    try:
        settings = Settings(
            model=ModelSettings(id=model),
            engine=EngineSettings(
                n_ctx=_N_CTX_TOKENS, n_slots=1, kv_store_mib=0, idle_exit_s=_IDLE_EXIT_S
            ),
        )
        client = EngineClient(engine_options(settings), name="benchmark peers")
        try:
            yield client
        finally:
            await client.aclose()
            await spawn.stop_all(runtime)
    finally:
        if outside is None:
            del os.environ[_RUNTIME]
        else:
            os.environ[_RUNTIME] = outside
        shutil.rmtree(runtime, ignore_errors=True)


def token_counter(model_path: str) -> TokenCounter:
    """The model's own tokenizer, without its weights.

    Raises:
        UsageError: llama-cpp-python is not installed (``extra_missing``).
        ModelInvalidError: the file has no vocabulary (``model_unreadable``).
    """
    with needed("Counting tokens"):
        import llama_cpp
    # The loader's account of the vocabulary would go to the terminal.
    silence = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)
    llama_cpp.llama_log_set(silence, None)
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(os.fsencode(model_path), parameters)
    if not model:
        raise ModelInvalidError(
            f"The vocabulary of {model_path} cannot be read.",
            code="model_unreadable",
            hint="Run: midfill model verify",
        )
    vocabulary = llama_cpp.llama_model_get_vocab(model)

    def count(text: str, _keep: object = silence) -> int:
        data = text.encode("utf-8", "replace")
        # Without room for the tokens the answer is their number, below zero.
        return -int(llama_cpp.llama_tokenize(vocabulary, data, len(data), None, 0, False, False))

    return count


def by_file(plan: Sequence[tuple[Project, Target]]) -> list[tuple[Project, Target]]:
    """The same targets with those of one file together, which share much of their prompts."""
    files: dict[tuple[str, str], list[tuple[Project, Target]]] = {}
    for project, target in plan:
        files.setdefault((project.name, target.path), []).append((project, target))
    return [
        found
        for group in files.values()
        for found in sorted(group, key=lambda pair: pair[1].first_line)
    ]


def _fingerprint() -> str:
    """12 hex digits that change with the code that builds the prompts."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name not in ("command.py", "findings.py"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _keys(
    strategies: Sequence[str], plan: Sequence[tuple[Project, Target]], suffix: SuffixMode
) -> dict[str, None]:
    """Keys of all records of a plan, in order."""
    return {
        peer_key(name, walk_key(project, target, suffix)): None
        for project, target in plan
        for name in strategies
    }


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
