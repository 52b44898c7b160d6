"""Known holes in a real file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

FILES = Path(__file__).parent / "files"
INVENTORY = FILES / "inventory.py"


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """A file with a piece removed.

    Args:
        text: the file without the piece.
        line: zero-based line of the cursor.
        column: zero-based column of the cursor, in code points.
        expected: what may stand there.
    """

    text: str
    line: int
    column: int
    expected: tuple[str, ...]

    def is_filled_by(self, suggestion: str) -> bool:
        """Whether the suggestion's first line is what is missing."""
        first = suggestion.split("\n", 1)[0].rstrip()
        return first in self.expected


def easy_holes() -> list[Hole]:
    """The listed holes, in order."""
    lines = INVENTORY.read_text().split("\n")
    holes = []
    for entry in tomllib.loads((FILES / "holes.toml").read_text())["hole"]:
        before, rest = entry["line"].split("‸")
        numbers = [number for number, line in enumerate(lines) if line == before + rest]
        number = numbers[entry.get("occurrence", 1) - 1]
        text = "\n".join([*lines[:number], before, *lines[number + 1 :]])
        expected = (rest, *entry.get("also", ()))
        holes.append(Hole(text=text, line=number, column=len(before), expected=expected))
    return holes
