"""What is looked for in the blocks of a text."""

from __future__ import annotations

import random

from context.blocks import Absent, PerBlock, shared
from context.types import SourceFile


def file_of(*blocks: bytes) -> SourceFile:
    """A file in these blocks."""
    return SourceFile(path="a.py", language="python", data=b"".join(blocks), blocks=blocks)


def test_a_block_that_stays_is_looked_into_once() -> None:
    """Whatever comes and goes around it; the same text as another object is another block."""
    looked: list[bytes] = []
    sizes = PerBlock(lambda block: looked.append(block) or len(block))  # type: ignore[func-returns-value]
    one, two, three = b"one\n", b"two and\n", b"three\n"
    assert sizes.of(file_of(one, two)) == [(0, one, 4), (4, two, 8)]
    assert sizes.of(file_of(three, one, two)) == [(0, three, 6), (6, one, 4), (10, two, 8)]
    assert sizes.of(file_of(one, two, one)) == [(0, one, 4), (4, two, 8), (12, one, 4)]
    assert looked == [one, two, three]
    sizes.of(file_of(bytes(bytearray(one))))
    assert len(looked) == 4


def test_a_text_in_one_piece_is_one_block() -> None:
    """Files of the disk come without blocks."""
    whole = SourceFile(path="a.py", language="python", data=b"a\nb\n")
    assert PerBlock(bytes.split).of(whole) == [(0, b"a\nb\n", [b"a", b"b"])]


def test_shared_blocks_are_counted_from_both_ends() -> None:
    """No byte is counted twice, and without blocks nothing is known."""
    one, two, three = b"one\n", b"two\n", b"three\n"
    assert shared(file_of(one, two, three), file_of(one, b"2\n", three)) == (4, 6)
    assert shared(file_of(one, two), file_of(one, two)) == (8, 0)
    assert shared(file_of(one), file_of(one, one)) == (4, 0)
    assert shared(file_of(one, one), file_of(one)) == (4, 0)
    assert shared(file_of(), file_of(one)) == (0, 0)


def test_what_a_file_lacks_is_found_once_it_comes() -> None:
    """Also across blocks, and again when it has gone."""
    chance = random.Random(4)
    absent = Absent()
    texts = [b"ab", b"a\nb", b"ba\n\n", b"b"]
    blocks = [b"a\n" for _ in range(4)]
    for _ in range(3000):
        blocks[chance.randrange(4)] = bytes(chance.choices(b"ab\n", k=chance.randrange(5)))
        file = file_of(*blocks)
        text = chance.choice(texts)
        assert absent.lacks(file, text) == (text not in file.data)
