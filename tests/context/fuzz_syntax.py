"""Random edits: the updated tree must equal the tree of a full parse.

Run for long with ``python -m tests.context.fuzz_syntax --edits 100000 --seed 1``.
"""

from __future__ import annotations

import argparse
import random

import tree_sitter

from context.syntax import SyntaxTree
from context.types import SourceFile

Shape = tuple[str, int, int, bool, bool]

SEED_TEXT = '''import os
from typing import Any


class Shape(Base):
    """A shape."""

    def __init__(self, sides: int = 3) -> None:
        self.sides = sides

    @property
    def area(self) -> float:
        if self.sides > 3:
            return sum(x * f"{y!r:>{w}}" for x, y in zip(self.a, self.b))
        return 0.0


async def main(*args: Any, **kw: Any) -> None:
    match args:
        case [first, *rest]:
            print("ünïcödé 🎉", first)
        case _:
            raise ValueError(f"no {args}")
'''
PIECES = [
    "\n", "\r", "\r\n", "    ", "\t", " ", '"', "'", '"""', "(", ")", "[", "]", "{", "}", ":", "\\",
    "#", "é", "🎉", "def f(x):\n    return x\n", "class A:\n", "if x:\n        y\n", "x", "return ",
    "f'{a", "lambda: ", "@d\n", "\u2028", "\x0c", "else:\n", "async ", "await ", ",", "=", "*",
    "\0",
]  # fmt: skip


def shape_of(root: tree_sitter.Node) -> list[Shape]:
    """Type, range and flags of every node, in order."""
    cursor = root.walk()
    shapes: list[Shape] = []
    while True:
        node = cursor.node
        assert node is not None
        shapes.append((node.type, node.start_byte, node.end_byte, node.is_named, node.is_missing))
        if cursor.goto_first_child() or cursor.goto_next_sibling():
            continue
        while cursor.goto_parent():
            if cursor.goto_next_sibling():
                break
        else:
            return shapes


def run(n_edits: int, seed: int) -> int:
    """Make edits and count the trees that differ."""
    chance = random.Random(seed)
    n_different = 0
    text = SEED_TEXT
    tree = SyntaxTree.parse(_file(text))
    for number in range(n_edits):
        if number % 50 == 0:
            text = SEED_TEXT
            tree = SyntaxTree.parse(_file(text))
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice([0, 0, 0, 1, 1, 3, 20]))
        text = text[:start] + chance.choice(PIECES) * chance.choice([1, 1, 2]) + text[end:]
        assert tree is not None
        tree = SyntaxTree.update(tree, _file(text))
        fresh = SyntaxTree.parse(_file(text))
        assert tree is not None
        assert fresh is not None
        if shape_of(tree.root) != shape_of(fresh.root):
            n_different += 1
            print(f"edit {number} of seed {seed} differs (error in text: {fresh.root.has_error})")
            tree = fresh
    return n_different


def _file(text: str) -> SourceFile:
    return SourceFile(path="a.py", language="python", data=text.encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    different = run(options.edits, options.seed)
    print(f"{options.edits} edits, {different} differences")
    raise SystemExit(1 if different else 0)
