"""An immutable sequence of lines whose edited copies share what did not change."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import overload

# A keystroke copies one block and the list of blocks, and has that block encoded and looked through
# again: 128 keeps all of it at some microseconds from 1,000 lines to 100,000.
BLOCK_LINES = 128

_Block = tuple[str, ...]


class Lines(Sequence[str]):
    """Lines of a text in blocks; ``replaced`` gives an edited copy at the cost of one block.

    Args:
        lines: the lines, each with its EOL.
    """

    __slots__ = ("_blocks", "_encoded", "_n_lines", "_starts")

    def __init__(self, lines: Sequence[str] = ("",)) -> None:
        self._set_blocks(_blocks_of(tuple(lines)))
        self._encoded: list[bytes | None] = [None] * len(self._blocks)

    def replaced(self, start: int, stop: int, new: Sequence[str]) -> Lines:
        """A copy in which the lines ``start`` to ``stop`` (not included) are ``new``."""
        if not 0 <= start < stop <= self._n_lines:
            raise IndexError(f"lines {start}:{stop} of {self._n_lines}")
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, stop - 1) - 1
        head = self._blocks[first][: start - self._starts[first]]
        tail = self._blocks[last][stop - self._starts[last] :]
        merged = head + tuple(new) + tail
        if len(merged) < BLOCK_LINES // 4 and last + 1 < len(self._blocks):
            # Without this, deleting line by line would leave thousands of tiny blocks.
            last += 1
            merged += self._blocks[last]
        made = [merged] if 0 < len(merged) <= 2 * BLOCK_LINES else _blocks_of(merged)
        blocks = self._blocks.copy()
        blocks[first : last + 1] = made
        copy = Lines.__new__(Lines)
        copy._encoded = self._encoded.copy()
        copy._encoded[first : last + 1] = [None] * len(made)
        if first == last and len(blocks) == len(self._blocks):
            # One block took the place of one: the later ones only move.
            grown = len(new) - (stop - start)
            copy._blocks, copy._n_lines = blocks, self._n_lines + grown
            copy._starts = self._starts
            if grown:
                later = [at + grown for at in self._starts[first + 1 :]]
                copy._starts = self._starts[: first + 1] + later
        else:
            copy._set_blocks(blocks)
        return copy

    def _set_blocks(self, blocks: list[_Block]) -> None:
        self._blocks = blocks
        self._starts = list(accumulate(map(len, blocks), initial=0))
        self._n_lines = self._starts.pop()

    @staticmethod
    def of(lines: Sequence[str]) -> Lines:
        """The lines, in blocks if they are not yet."""
        return lines if isinstance(lines, Lines) else Lines(lines)

    @property
    def encoded(self) -> tuple[bytes, ...]:
        """The text as UTF-8 with ``\\n`` as its only EOL, block by block.

        Edited copies have the very same objects for the blocks that did not change. Lone surrogates
        become ``?``.
        """
        done = tuple(
            _encode(block) if known is None else known
            for block, known in zip(self._blocks, self._encoded, strict=True)
        )
        self._encoded[:] = done
        return done

    def offset(self, line: int, column: int) -> int:
        """Byte offset in the encoded text of a place in these lines.

        Args:
            line: zero-based line; past the last one means the end of the text.
            column: zero-based column in code points.
        """
        block = bisect_right(self._starts, line) - 1
        row = line - self._starts[block]
        before = (*self._blocks[block][:row], *(each[:column] for each in self[line : line + 1]))
        return sum(map(len, self.encoded[:block])) + len(_encode(before))

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        """One line, or a tuple of lines."""
        if isinstance(index, slice):
            start, stop, step = index.indices(self._n_lines)
            if step != 1:
                return tuple(self)[index]
            return self._between(start, stop)
        if index < 0:
            index += self._n_lines
        if not 0 <= index < self._n_lines:
            raise IndexError("line index out of range")
        block = bisect_right(self._starts, index) - 1
        return self._blocks[block][index - self._starts[block]]

    def _between(self, start: int, stop: int) -> _Block:
        if start >= stop:
            return ()
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, stop - 1) - 1
        offset = self._starts[first]
        if first == last:
            return self._blocks[first][start - offset : stop - offset]
        flat = chain.from_iterable(self._blocks[first : last + 1])
        return tuple(flat)[start - offset : stop - offset]

    def __len__(self) -> int:
        return self._n_lines

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._blocks)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Lines | tuple):
            return len(self) == len(other) and tuple(self) == tuple(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Lines(n_lines={self._n_lines})"


def _encode(lines: _Block) -> bytes:
    text = "".join(lines)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-8", "replace")


def _blocks_of(lines: _Block) -> list[_Block]:
    return [lines[at : at + BLOCK_LINES] for at in range(0, len(lines), BLOCK_LINES)] or [()]
