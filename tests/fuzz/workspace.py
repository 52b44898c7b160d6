"""A hostile workspace: what it holds and what is typed in it must not stop suggestions.

Run for long with ``python -m tests.fuzz.workspace --files 100000 --requests 2000 --seed 1``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from pathlib import Path

import msgspec

from context.gather import gather
from context.syntax import SyntaxTree
from context.types import Budget
from lsp_server.completion.draft import source_file
from lsp_server.documents import TextDocument
from lsp_server.settings import ContextSettings
from lsp_server.workspace.workspace import Workspace
from tests.context.fuzz_syntax import PIECES, SEED_TEXT

_BUDGET = Budget(n_prefix_tokens=768, n_suffix_tokens=192)
_N_TOKENS = 512


class Report(msgspec.Struct, kw_only=True):
    """What was seen.

    Args:
        n_files: in the index.
        left_out: why some are not.
        index_s: until the index was there.
        n_requests: that were answered.
        longest_ms: the longest of them.
    """

    n_files: int
    left_out: str
    index_s: float
    n_requests: int = 0
    longest_ms: float = 0.0


def build(root: Path, n_files: int, chance: random.Random) -> None:
    """Write the workspace.

    Args:
        root: an empty folder.
        n_files: ordinary ones; some strange ones come on top.
        chance: of what is in them.
    """
    root.mkdir(parents=True, exist_ok=True)
    for number in range(n_files):
        folder = root / f"d{number % 97}"
        folder.mkdir(exist_ok=True)
        body = f"from d{(number + 1) % 97}.m{number + 1} import f{number + 1}\n\n\n"
        body += f"def f{number}(a, b):\n    return f{number + 1}(a) + b\n"
        (folder / f"m{number}.py").write_text(body)
    (root / "huge.py").write_bytes(b"value = 1\n" * (2 * 1024 * 1024))
    (root / "long_line.py").write_bytes(b"x = [" + b"1, " * 250_000 + b"]\n")
    (root / "deep.py").write_bytes(b"x = " + b"(" * 20_000 + b")" * 20_000)
    (root / "nested.py").write_text("".join(f"{'  ' * n}if a{n}:\n" for n in range(400)))
    (root / "mixed.py").write_bytes(b"a = 1\r\nb = 2\rc = 3\n\x00\xff\xfe def f(:\n")
    (root / "binary.py").write_bytes(bytes(chance.randrange(256) for _ in range(10_000)))
    (root / "empty.py").write_bytes(b"")
    (root / "broken.py").write_text("".join(chance.choices(PIECES, k=3000)), errors="replace")
    (root / "loop").symlink_to(root)
    (root / "self.py").symlink_to(root / "self.py")
    (root / "nowhere.py").symlink_to(root / "missing.py")
    path = root
    for number in range(60):
        path = path / f"n{number}"
    path.mkdir(parents=True)
    (path / "far.py").write_text("def far(): ...\n")
    os.mkfifo(root / "pipe.py")


async def run(root: Path, n_requests: int, chance: random.Random) -> Report:
    """Index the workspace and ask in it, wherever the cursor may be.

    Args:
        root: of the workspace.
        n_requests: how many questions.
        chance: of what is typed.
    """
    workspace = Workspace(root, ContextSettings())
    started_s = time.perf_counter()
    workspace.start()
    await workspace.ready.wait()
    report = Report(
        n_files=len(workspace.index.files),
        left_out=workspace.left_out,
        index_s=time.perf_counter() - started_s,
    )
    try:
        text = SEED_TEXT
        for number in range(n_requests):
            at = chance.randrange(len(text) + 1)
            text = text[:at] + chance.choice(PIECES) + text[at + chance.choice((0, 0, 1, 5)) :]
            if len(text) > 20_000:
                text = SEED_TEXT
            document = TextDocument((root / "typed.py").as_uri(), "python", number, text)
            line = chance.randrange(len(document.lines))
            column = chance.randrange(len(document.lines[line].rstrip("\r\n")) + 1)
            began_s = time.perf_counter()
            file, cursor = source_file(document.snapshot(), line, column)
            tree = SyntaxTree.parse(file)
            context = gather(file, tree, cursor, _BUDGET)
            chosen = workspace.related(file, tree, "typed.py", cursor, context, _N_TOKENS)
            report.longest_ms = max(report.longest_ms, 1000 * (time.perf_counter() - began_s))
            assert chosen.n_tokens <= _N_TOKENS
            report.n_requests += 1
            await asyncio.sleep(0)
    finally:
        await workspace.aclose()
    return report


def main() -> None:
    """Build, run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MIDFILL_CACHE_DIR"] = str(Path(folder) / "cache")
        root = Path(folder) / "workspace"
        build(root, args.files, chance)
        print(msgspec.json.encode(asyncio.run(run(root, args.requests, chance))).decode())


if __name__ == "__main__":
    main()
