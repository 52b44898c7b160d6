"""Options that all benchmarks share, and what follows from them."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import machine
from benchmarks.machine import ROOT
from benchmarks.render import markdown, terminal
from benchmarks.summary import RunInfo, Summary
from lsp_server import paths
from lsp_server.engine.launch import engine_options
from lsp_server.errors import StoreError
from lsp_server.models.verify import sha256_of
from lsp_server.settings import ModelSettings, Settings

RESULTS_DIR = ROOT / "benchmarks" / "results"


def add_common(parser: argparse.ArgumentParser, *, model: bool = True) -> None:
    """Add what every benchmark takes: seed, model, where results go, and their form."""
    if model:
        parser.add_argument(
            "--model", default="auto", metavar="ID", help="model id (default: the best fetched)"
        )
    parser.add_argument("--seed", type=int, default=1, help="of every choice (default 1)")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="results file, JSON lines; an interrupted run goes on there (default: in the cache)",
    )
    parser.add_argument(
        "--restart", action="store_true", help="measure anew instead of going on with a run"
    )
    parser.add_argument(
        "--save",
        metavar="NAME",
        help="keep the summary as benchmarks/results/NAME.json, where the report looks for it",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the summary as JSON")
    form.add_argument("--markdown", action="store_true", help="print the summary as Markdown")


def run_info(
    args: argparse.Namespace, benchmark: str, options: Mapping[str, Any], *, model: str = ""
) -> RunInfo:
    """What a run is made with.

    Args:
        args: with ``seed``.
        benchmark: name of the benchmark.
        options: everything else that changes the results.
        model: ``auto``, an id or a path; "" where no model is used.

    Raises:
        ModelError: the model is not there; the message names the command to run.
    """
    model_id = sha256 = ""
    if model:
        resolved = engine_options(Settings(model=ModelSettings(id=model)))
        model_id = resolved.model_id
        sha256 = sha256_of(Path(resolved.model_path))
    return RunInfo(
        benchmark=benchmark,
        options={**options, "seed": args.seed},
        model=model_id,
        model_sha256=sha256,
        code=machine.code_fingerprint(),
        commit=machine.commit(),
        machine=machine.machine(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def cache_folder(*parts: str) -> Path:
    """A folder for what can be made again: corpora, peers' binaries, results files."""
    return paths.cache_dir().joinpath("benchmarks", *parts)


def results_path(args: argparse.Namespace, run: RunInfo) -> Path:
    """``--output``, or a file in the cache that equal runs share."""
    if args.output:
        return Path(args.output)
    recipe = msgspec.json.encode([run.options, run.model_sha256, run.code], order="sorted")
    name = hashlib.sha256(recipe).hexdigest()[:10]
    return cache_folder("runs") / f"{run.benchmark}-{run.model or 'none'}-{name}.jsonl"


def finish(args: argparse.Namespace, summary: Summary) -> int:
    """Print a summary in the form asked for and keep it if asked to; returns the exit status."""
    if args.save:
        save(summary, RESULTS_DIR / f"{args.save}.json")
    if args.json:
        sys.stdout.write(_pretty(summary) + "\n")
    elif args.markdown:
        sys.stdout.write(markdown.render(summary) + "\n")
    else:
        terminal.render(summary)
    return 0


def save(summary: Summary, path: Path) -> None:
    """Write a summary as JSON.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_pretty(summary) + "\n", "utf-8")
    except OSError as error:
        raise StoreError(
            f"The summary cannot be written to {path}: {error.strerror}.", code="results_unusable"
        ) from error


def _pretty(summary: Summary) -> str:
    return msgspec.json.format(msgspec.json.encode(summary), indent=1).decode()
