"""Which other files the developer looked at before: a replay of one file does not say.

It is made up in the peers' favour: first come the files that the open one imports, then its
neighbours in the folder, then the rest of the project, drawn by chance from a seed.
"""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from benchmarks.peers.library import Library
from benchmarks.peers.strategy import Visit

N_FILES = 8
_MIN_LINES = 3


def visits(library: Library, path: str, text: str, *, seed: int) -> tuple[Visit, ...]:
    """The files looked at before a file was opened, the oldest first.

    Args:
        library: the project.
        path: of the open file.
        text: of the open file when it was opened.
        seed: of every choice.
    """
    chance = random.Random(f"{seed} visits {path}")
    imported = library.imported_paths(text, path)
    others = [p for p in library.others(path) if p not in imported]
    chance.shuffle(others)
    folder = PurePosixPath(path).parent
    others.sort(key=lambda other: PurePosixPath(other).parent != folder)
    found: list[Visit] = []
    for other in [*imported, *others]:
        n_lines = library.files[other].count("\n") + 1
        if n_lines >= _MIN_LINES and len(found) < N_FILES:
            enter, leave = chance.randrange(n_lines), chance.randrange(n_lines)
            found.append(Visit(path=other, enter_line=enter, leave_line=leave))
    return tuple(reversed(found))
