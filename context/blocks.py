"""What is looked for in a text block by block: its next version has most blocks in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from context.types import SourceFile

T = TypeVar("T")


class PerBlock(Generic[T]):
    """What was found in the blocks of a text; in those of the next one that it has, too, at once.

    Blocks are told apart as objects: to compare them would take longer than to look through them.

    Args:
        look: finds it in one block.
    """

    def __init__(self, look: Callable[[bytes], T]) -> None:
        self._look = look
        self._file: SourceFile | None = None
        self._found: list[tuple[int, bytes, T]] = []

    def of(self, file: SourceFile) -> list[tuple[int, bytes, T]]:
        """For each block where it begins, its text, and what was found in it.

        Args:
            file: the text.
        """
        if file is not self._file:
            # No other object has a block's id while the block is kept.
            known = {id(block): (block, found) for _, block, found in self._found}
            self._found = []
            start = 0
            for block in file.blocks or (file.data,):
                there = known.get(id(block))
                self._found.append((start, block, there[1] if there else self._look(block)))
                start += len(block)
            self._file = file
        return self._found


def shared(old: SourceFile, new: SourceFile) -> tuple[int, int]:
    """How many bytes two texts have in common for sure, at their beginning and at their end.

    Args:
        old: a version of a file.
        new: another one.
    """
    n_common = min(len(old.blocks), len(new.blocks))
    n_head = 0
    while n_head < n_common and old.blocks[n_head] is new.blocks[n_head]:
        n_head += 1
    n_tail = 0
    while n_tail < n_common - n_head and old.blocks[-1 - n_tail] is new.blocks[-1 - n_tail]:
        n_tail += 1
    last = len(new.blocks) - n_tail
    return sum(map(len, new.blocks[:n_head])), sum(map(len, new.blocks[last:]))
