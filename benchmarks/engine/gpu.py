"""``python -m benchmarks gpu``: the engine benchmark as a machine with a GPU needs it."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import options
from benchmarks.engine import command, shapes
from lsp_server.engine.launch import engine_options
from lsp_server.models import store
from lsp_server.models.progress import for_stderr
from lsp_server.models.register import register
from lsp_server.settings import ModelSettings, Settings

_SECTIONS = "speed,lengths,clients,keystrokes,cancel,attention,kv,memory"
_DRY_SECTIONS = "speed,lengths,clients"
_LENGTHS = "1024,4096,16384"
_CLIENTS = "1,2,4,8,16,32"
_DRY = {"lengths": "64,128", "clients": "1,2", "depths": "256", "repetitions": "1"}

_DESCRIPTION = """\
Run the engine benchmark on a machine with a GPU: prefill and decode beside llama-bench, the first
token at 1k, 4k and 16k tokens beside llama-server, 1 to 32 clients, flash attention, KV types and
memory. Without a model of that size at hand, --shape 7b writes one of the shape and tensor types
of Qwen2.5-Coder-7B in Q4_K_M with random weights and the vocabulary of --model (4.7 GB); its speed
is that of the real one, its text means nothing. --dry-run goes through all of it on a CPU with a
tiny model in a minute or two, to see that it works. llama-cpp-python must have been built for the
GPU, e.g. CMAKE_ARGS="-DGGML_CUDA=on" pip install --no-binary llama-cpp-python llama-cpp-python."""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "gpu",
        help="The engine benchmark for a machine with a GPU, with a 7B model or its shape.",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_common(parser)
    parser.add_argument("--shape", choices=("7b", "none"), default="7b",
                        help="7b: random weights in the shape of the 7B model; none: --model "
                        "itself (default 7b)")  # fmt: skip
    parser.add_argument("--sections", metavar="NAMES",
                        help=f"of the engine benchmark (default: {_SECTIONS})")  # fmt: skip
    parser.add_argument("--repetitions", metavar="N", help="of each speed and time (default 10)")
    parser.add_argument("--dry-run", action="store_true",
                        help="a tiny model and short prompts, on a CPU too")  # fmt: skip
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Write the model if need be, and measure it."""
    kind = "tiny" if args.dry_run else args.shape
    if kind == "none":
        return _measure(args, args.model)
    with _shaped(args.model, kind) as name:
        return _measure(args, name)


def _measure(args: argparse.Namespace, model: str) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu")
    command.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["engine", *arguments(args, model)])
    return int(parsed.func(parsed))


def arguments(args: argparse.Namespace, model: str) -> list[str]:
    """The command line of the engine benchmark.

    Args:
        args: of this command.
        model: id of what is measured.
    """
    chosen = {
        "model": model,
        "seed": str(args.seed),
        "sections": args.sections or (_DRY_SECTIONS if args.dry_run else _SECTIONS),
        "lengths": _LENGTHS,
        "clients": _CLIENTS,
        **(_DRY if args.dry_run else {}),
    }
    for name in ("repetitions", "output", "save"):
        if getattr(args, name):
            chosen[name] = str(getattr(args, name))
    flags = [f"--{name}" for name in ("restart", "json", "markdown") if getattr(args, name)]
    return [part for name, value in chosen.items() for part in (f"--{name}", value)] + flags


@contextlib.contextmanager
def _shaped(base: str, kind: str) -> Iterator[str]:
    """A model of a shape that may be loaded for as long as the context lasts; gives its id."""
    found = engine_options(Settings(model=ModelSettings(id=base)))
    vocabulary = Path(found.model_path)
    recipe = hashlib.sha256(f"{vocabulary.name}|{shapes.SHAPES[kind]}".encode()).hexdigest()[:8]
    name = f"random-{kind}-{recipe}"
    path = options.cache_folder("shapes") / f"{name}.gguf"
    console = Console(stderr=True)
    if not path.exists():
        console.print(f"writing {path.name}", highlight=False)
        shapes.write(vocabulary, path, shapes.SHAPES[kind])
    # Made here, so nobody has to be asked; forgotten afterwards, so that no editor gets it.
    register(path, for_stderr(), lambda _candidate: True, name=name)
    try:
        yield name
    finally:
        store.drop_record(name)
