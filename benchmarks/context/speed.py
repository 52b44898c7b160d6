"""How long the index of a folder takes, what it holds in memory, and what a request costs."""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import os
import random
import shutil
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from benchmarks import options
from benchmarks.figures import percentile
from benchmarks.summary import Cell, Column, RunInfo, Summary, Table, Verdict
from context.gather import gather
from context.source import language_of
from context.syntax import SyntaxTree
from context.types import Budget
from lsp_server.completion.draft import source_file
from lsp_server.documents import Change, Span, TextDocument
from lsp_server.errors import UsageError
from lsp_server.settings import ContextSettings
from lsp_server.workspace.workspace import Workspace

_CACHE = "MIDFILL_CACHE_DIR"
_N_KEYS = 400
_KEY_S = 0.02
_N_LINES = 10_000
_SIZES = (1_000, _N_LINES, 50_000)
_FILE_LINES = range(200, 3_000)
_BUDGET = Budget(n_prefix_tokens=768, n_suffix_tokens=192, n_context_tokens=512)
_GOALS = {"lines": 1_000_000, "cold_s": 120.0, "warm_s": 3.0, "mib": 400.0, "request_ms": 15.0}


# Milliseconds of each part of a request, key by key.
Times = dict[str, list[float]]


class Indexed(msgspec.Struct, frozen=True, kw_only=True):
    """An index that was made.

    Args:
        n_files: in it.
        n_lines: of these files.
        cold_s: until all was indexed.
        warm_s: the same from the index on disk.
        rss_mib: memory the server's process has more for it.
        store_mib: size on disk.
        longest_ms: the longest time in which the loop could not answer meanwhile.
    """

    n_files: int
    n_lines: int
    cold_s: float
    warm_s: float
    rss_mib: float
    store_mib: float
    longest_ms: float


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    folder = (args.folder or Path(sysconfig.get_paths()["purelib"])).expanduser().absolute()
    info = options.run_info(args, "context-speed", {"folder": folder.name})
    with tempfile.TemporaryDirectory(prefix="mfx-") as home:
        # Installed packages are left out of an index by the name of their folder.
        root = Path(home) / "workspace"
        shutil.copytree(folder, root, symlinks=True, ignore=shutil.ignore_patterns("*.so", "*.pyc"))
        before = os.environ.get(_CACHE)
        os.environ[_CACHE] = str(Path(home) / "cache")
        try:
            indexed, times = asyncio.run(_measure(root))
        finally:
            if before is None:
                del os.environ[_CACHE]
            else:
                os.environ[_CACHE] = before
    return options.finish(args, _summary(info, indexed, times))


async def _measure(root: Path) -> tuple[Indexed, dict[int, Times]]:
    """What the index costs, and requests in files of each size, by their lines."""
    process = psutil.Process()
    gc.collect()
    rss = process.memory_info().rss
    cold, cold_s, longest_ms = await _made(root)
    gc.collect()
    rss_mib = (process.memory_info().rss - rss) / 2**20
    n_files = len(cold.index.files)
    n_lines = sum((root / path).read_bytes().count(b"\n") for path in cold.index.files)
    await cold.aclose()
    del cold
    gc.collect()
    warm, warm_s, again_ms = await _made(root)
    stores = list(Path(os.environ[_CACHE]).rglob("*.idx"))
    indexed = Indexed(
        n_files=n_files,
        n_lines=n_lines,
        cold_s=cold_s,
        warm_s=warm_s,
        rss_mib=rss_mib,
        store_mib=sum(path.stat().st_size for path in stores) / 2**20,
        longest_ms=max(longest_ms, again_ms),
    )
    # The size that has a goal comes first: later ones find files read that it had to wait for.
    sizes = sorted(_SIZES, key=lambda n_lines: n_lines != _N_LINES)
    times = {n_lines: await _requests(warm, _long_text(warm, n_lines)) for n_lines in sizes}
    await warm.aclose()
    return indexed, times


async def _made(root: Path) -> tuple[Workspace, float, float]:
    """An index, how long it took, and for how long the loop was held up at most."""
    settings = ContextSettings(max_files=1_000_000)
    workspace = Workspace(root, settings)
    longest_s = 0.0

    async def watch() -> None:
        nonlocal longest_s
        last_s = time.perf_counter()
        while not workspace.ready.is_set():
            await asyncio.sleep(0)
            now_s = time.perf_counter()
            longest_s = max(longest_s, now_s - last_s)
            last_s = now_s
            await asyncio.sleep(0.001)
            last_s = time.perf_counter()

    started_s = time.perf_counter()
    workspace.start()
    watching = asyncio.create_task(watch())
    await workspace.ready.wait()
    spent_s = time.perf_counter() - started_s
    await watching
    return workspace, spent_s, 1000 * longest_s


async def _requests(workspace: Workspace, text: str) -> Times:
    """Times of each part of a request while one key after another is typed in a file."""
    chance = random.Random(1)
    document = TextDocument((workspace.root / "typed.py").as_uri(), "python", 0, text)
    lines = text.split("\n")
    middle = range(len(lines) // 2, len(lines))
    row = next((n for n in middle if lines[n].startswith("    ")), middle.start)
    typed = "\n        result = self.connection.execute(query, parameters).fetch_all(limit=size)"
    times: Times = {"edit and tree": [], "open file": [], "other files": []}
    tree: SyntaxTree | None = None
    line, column = row, len(lines[row])
    for number in range(_N_KEYS):
        sign = typed[number % len(typed)]
        span = Span(start_line=line, start_character=column, end_line=line, end_character=column)
        started_s = time.perf_counter()
        document.change(number + 1, [Change(text=sign, span=span)])
        line, column = (line + 1, 0) if sign == "\n" else (line, column + 1)
        file, cursor = source_file(document.snapshot(), line, column)
        tree = SyntaxTree.update(tree, file) if tree else SyntaxTree.parse(file)
        parsed_s = time.perf_counter()
        context = gather(file, tree, cursor, _BUDGET)
        gathered_s = time.perf_counter()
        workspace.related(file, tree, "typed.py", cursor, context, _BUDGET.n_context_tokens)
        ended_s = time.perf_counter()
        # What a server does between two keys.
        await asyncio.sleep(_KEY_S)
        if number:  # the first one parses the whole file
            times["edit and tree"].append(1000 * (parsed_s - started_s))
            times["open file"].append(1000 * (gathered_s - parsed_s))
            times["other files"].append(1000 * (ended_s - gathered_s))
        if chance.random() < 0.02:
            workspace.visits.edited("typed.py", line, line)
    return times


def _long_text(workspace: Workspace, n_lines: int) -> str:
    """Files of the workspace one after another, over and over if they are few."""
    files = [*_python_files(workspace, n_lines)]
    if not files:
        raise UsageError(
            f"No Python file in the folder has {_FILE_LINES.start} to {_FILE_LINES.stop} lines.",
            code="folder_without_files",
            hint="Choose a folder with Python packages: --folder FOLDER",
        )
    shortest = min(text.count("\n") for text in files)
    pieces: list[str] = []
    n_left = n_lines
    for text in itertools.cycle(files):
        if n_left < shortest:
            break
        if text.count("\n") <= n_left:
            pieces.append(text)
            n_left -= text.count("\n")
    return "".join(pieces)


def _python_files(workspace: Workspace, n_lines: int) -> Iterator[str]:
    """Texts of files of a middling length, up to so many lines."""
    for path in sorted(workspace.index.files):
        data = (workspace.root / path).read_bytes()
        if language_of(path) != "python" or data.count(b"\n") not in _FILE_LINES:
            continue
        yield data.decode("utf-8", "replace") + "\n"
        n_lines -= data.count(b"\n")
        if n_lines <= 0:
            break


def _whole(times: Times) -> list[float]:
    return [sum(each) for each in zip(*times.values(), strict=True)]


def _size_rows(by_size: dict[int, Times]) -> list[tuple[Cell, ...]]:
    return [
        (
            f"{n_lines:,}",
            *(percentile(each, 0.5) for each in times.values()),
            *(percentile(_whole(times), share) for share in (0.5, 0.99)),
            len(_whole(times)),
        )
        for n_lines, times in sorted(by_size.items())
    ]


def _summary(info: RunInfo, indexed: Indexed, by_size: dict[int, Times]) -> Summary:
    times = by_size[_N_LINES]
    whole = _whole(times)
    per_million = _GOALS["lines"] / max(1, indexed.n_lines)
    rows: list[tuple[Cell, ...]] = [
        (name, percentile(each, 0.5), percentile(each, 0.95), percentile(each, 0.99), len(each))
        for name, each in [*times.items(), ("all of it", whole)]
    ]
    index_rows: list[tuple[Cell, ...]] = [
        ("from nothing, s", indexed.cold_s, indexed.cold_s * per_million, _GOALS["cold_s"]),
        ("from the disk, s", indexed.warm_s, indexed.warm_s * per_million, _GOALS["warm_s"]),
        ("memory, MiB", indexed.rss_mib, indexed.rss_mib * per_million, _GOALS["mib"]),
        ("on disk, MiB", indexed.store_mib, indexed.store_mib * per_million, None),
        ("loop held up at most, ms", indexed.longest_ms, None, None),
    ]
    p99 = percentile(whole, 0.99)
    return Summary(
        title="Index of a workspace, and requests in it",
        headline=f"{indexed.n_files:,} files with {indexed.n_lines:,} lines are indexed in "
        f"{indexed.cold_s:.1f} s, from the disk in {indexed.warm_s:.1f} s, with "
        f"{indexed.rss_mib:.0f} MiB; a request takes {percentile(whole, 0.5):.1f} ms (p50) and "
        f"{p99:.1f} ms (p99).",
        run=info,
        n=len(whole),
        tables=(
            Table(
                title="Index",
                columns=(
                    Column("what"),
                    Column("measured", "number"),
                    Column("a million lines", "number"),
                    Column("goal", "number"),
                ),
                rows=tuple(index_rows),
            ),
            Table(
                title="A request in a file of ten thousand lines",
                columns=(
                    Column("part"),
                    *(Column(f"{name}, ms", "rate") for name in ("p50", "p95", "p99")),
                    Column("N", "count"),
                ),
                rows=tuple(rows),
                note="One key after another is typed in the middle; each has its edit, its syntax "
                "tree, and the context of its prompt.",
            ),
            Table(
                title="The same in files of other sizes",
                columns=(
                    Column("lines"),
                    *(Column(f"{part}, ms", "rate") for part in (*times, "all of it")),
                    Column("p99, ms", "rate"),
                    Column("N", "count"),
                ),
                rows=tuple(_size_rows(by_size)),
            ),
        ),
        verdicts=(
            _verdict("Index from nothing", indexed.cold_s * per_million, _GOALS["cold_s"], "s"),
            _verdict("Index from the disk", indexed.warm_s * per_million, _GOALS["warm_s"], "s"),
            _verdict("Memory", indexed.rss_mib * per_million, _GOALS["mib"], "MiB"),
            _verdict("A request, p99", p99, _GOALS["request_ms"], "ms", "as measured"),
        ),
    )


def _verdict(
    name: str, value: float, goal: float, unit: str, basis: str = "a million lines"
) -> Verdict:
    text = f"{name}: {value:.1f} {unit} ({basis}), the goal is {goal:g} {unit}."
    return Verdict(text=text, outcome="ahead" if value <= goal else "behind")
