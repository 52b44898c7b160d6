"""What is looked for in a text block by block: its next version has most blocks in common."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from context.types import SourceFile

T = TypeVar("T")
_MAX_TEXTS = 64


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
    return _shared(old.blocks, new.blocks)


class Absent:
    """Remembers texts that a file lacks: its next version has them, if at all, where it differs."""

    def __init__(self) -> None:
        self._lacks: OrderedDict[bytes, tuple[bytes, ...]] = OrderedDict()

    def lacks(self, file: SourceFile, text: bytes) -> bool:
        """Whether a text stands nowhere in a file.

        Args:
            file: where.
            text: of at least a byte.
        """
        n_head, n_tail = _shared(self._lacks.pop(text, ()), file.blocks)
        start = max(0, n_head - len(text) + 1)
        stop = len(file.data) - max(0, n_tail - len(text) + 1)
        if file.data.find(text, start, stop) >= 0:
            return False
        self._lacks[text] = file.blocks
        while len(self._lacks) > _MAX_TEXTS:
            self._lacks.popitem(last=False)
        return True


def _shared(old: tuple[bytes, ...], new: tuple[bytes, ...]) -> tuple[int, int]:
    n_common = min(len(old), len(new))
    n_head = 0
    while n_head < n_common and old[n_head] is new[n_head]:
        n_head += 1
    n_tail = 0
    while n_tail < n_common - n_head and old[-1 - n_tail] is new[-1 - n_tail]:
        n_tail += 1
    return sum(map(len, new[:n_head])), sum(map(len, new[len(new) - n_tail :]))
