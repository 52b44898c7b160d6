"""Asks one engine with the prompts of several strategies, at the same places."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.extras import needed
from benchmarks.peers.findings import PeerWalk, peer_key
from benchmarks.peers.library import Library
from benchmarks.peers.strategy import Strategy, TokenCounter
from benchmarks.peers.suggester import PeerSuggester
from benchmarks.records import RunFile
from benchmarks.replay.run import walk_key
from benchmarks.replay.types import Project, SuffixMode, Target
from benchmarks.replay.walk import WalkOptions, walk
from lsp_server.engine import spawn
from lsp_server.engine.client import EngineClient
from lsp_server.engine.launch import engine_options
from lsp_server.errors import ModelInvalidError
from lsp_server.settings import EngineSettings, ModelSettings, Settings

# The longest prompt is llama.vim's; see there.
_N_CTX_TOKENS = 8192
_IDLE_EXIT_S = 30
_RUNTIME = "MIDFILL_RUNTIME_DIR"

# Makes a strategy from a token counter and a seed.
Maker = Callable[[TokenCounter, int], Strategy]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked.

    Args:
        strategies: by name, in the order in which they are asked.
        model: ``auto``, an id, a path, or a script.
        suffix: what stands below the cursor.
        seed: of every choice.
        heals: whether tokens typed in part are generated anew.
    """

    strategies: Mapping[str, Maker]
    model: str
    suffix: SuffixMode
    seed: int
    heals: bool = False


def ask_all(asked: Asked, plan: Sequence[tuple[Project, Target]], file: RunFile[PeerWalk]) -> None:
    """The same as ``ask`` to its end; whoever interrupts it is told how to go on."""
    try:
        asyncio.run(ask(asked, plan, file))
    except KeyboardInterrupt:
        print(
            f"benchmarks: interrupted; {len(file.records)} walks are in {file.path}. The same "
            "command goes on with them.",
            file=sys.stderr,
        )
        raise


async def ask(
    asked: Asked, plan: Sequence[tuple[Project, Target]], file: RunFile[PeerWalk]
) -> None:
    """Type each target again once for each prompt; what is in the file is not asked again.

    Args:
        asked: whose prompts, and of which model.
        plan: the targets.
        file: where the walks go.
    """
    missing = [key for key in keys(asked.strategies, plan, asked.suffix) if key not in file.records]
    if not missing:
        return
    walk_options = WalkOptions(accepts=False, pauses_per_line=1, seed=asked.seed)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
    async with private_engine(asked.model) as client:
        count = token_counter(client.options.model_path)
        suggesters = {
            name: PeerSuggester(make(count, asked.seed), client, seed=asked.seed, heals=asked.heals)
            for name, make in asked.strategies.items()
        }
        libraries: dict[Path, Library] = {}
        with bar:
            task = bar.add_task("walks", total=len(missing))
            for project, target in plan:
                if project.root not in libraries:
                    libraries[project.root] = Library.load(project.root)
                for name, suggester in suggesters.items():
                    if peer_key(name, walk_key(project, target, asked.suffix)) in file.records:
                        continue
                    bar.update(task, description=f"{target.key} · {name}")
                    await suggester.start(project, libraries[project.root])
                    found = await walk(project, target, suggester, asked.suffix, walk_options)
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


def keys(
    strategies: Iterable[str], plan: Sequence[tuple[Project, Target]], suffix: SuffixMode
) -> dict[str, None]:
    """Keys of all records of a plan, in order."""
    return {
        peer_key(name, walk_key(project, target, suffix)): None
        for project, target in plan
        for name in strategies
    }
