"""Lines of Python in normal form, tokens, and edit similarities."""

from __future__ import annotations

import random

import pytest

from benchmarks.replay.text import (
    edit_similarity,
    indel_similarity,
    lines_of,
    n_tokens_of,
    normal,
    splits_token,
    units_of,
)


@pytest.mark.parametrize(
    ("text", "n_tokens"),
    [
        ("", 0),
        ("   ", 0),
        ("return x", 2),
        ("x = f(a, 'b c')", 8),
        ("x **= 2", 3),
        ("1.5e-3", 1),
        ("f'{a} and {b}' % c", 3),
        ('rb"""a b', 1),
        ("f(a,", 4),
        ("-> int:", 3),
        ("# two words", 3),
        ("a if b!=c else d", 7),
    ],
)
def test_tokens(text: str, n_tokens: int) -> None:
    """Tokens are counted in fragments too; a string is one, the words of a comment are several."""
    assert n_tokens_of(text) == n_tokens


def test_lines_keep_their_ends() -> None:
    """Only the three line ends of LSP end a line."""
    assert lines_of("a\r\nb\rc\nd\fe\u2028f") == ["a\r\n", "b\r", "c\n", "d\fe\u2028f"]


def test_normal_form() -> None:
    """Blanks at line ends and the kind of line end go; blank lines and the last line end stay."""
    assert normal("a \r\n\t\r\nb\t\n") == "a\n\nb\n"
    assert normal("a  ") == "a"


def test_units_know_where_they_end() -> None:
    """Each unit has the offset behind it, whatever escapes it had."""
    text = units_of("f('a\\'b')")

    assert text.units == ("f", "(", "quote", "a", "'", "b", "quote", ")")
    assert text.ends == (1, 2, 3, 4, 6, 7, 8, 9)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("a", "b", True),
        ("=", "=", True),
        ("a", "=", False),
        ("a", "quote", False),
        (".", "a", False),
    ],
)
def test_middle_of_a_token(left: str, right: str, expected: bool) -> None:
    """Two letters or two signs of an operator belong together."""
    assert splits_token(left, right) is expected


def test_similarities_equal_the_textbook_ones() -> None:
    """The bit vectors give what the tables of the textbook give."""
    chance = random.Random(3)
    for _ in range(400):
        ours, theirs = ("".join(chance.choices("abü", k=chance.randrange(14))) for _ in "12")
        longer, both = max(len(ours), len(theirs)), len(ours) + len(theirs)
        distance, common = _tables(ours, theirs)
        assert edit_similarity(ours, theirs) == (1 - distance / longer if longer else 1.0)
        assert indel_similarity(ours, theirs) == (2 * common / both if both else 1.0)


def _tables(ours: str, theirs: str) -> tuple[int, int]:
    """Levenshtein distance and length of the longest common subsequence."""
    distances, commons = list(range(len(theirs) + 1)), [0] * (len(theirs) + 1)
    for row, a in enumerate(ours, 1):
        above, above_common = distances, commons
        distances, commons = [row], [0]
        for column, b in enumerate(theirs, 1):
            change = above[column - 1] + (a != b)
            distances.append(min(above[column] + 1, distances[-1] + 1, change))
            same = above_common[column - 1] + 1 if a == b else 0
            commons.append(max(above_common[column], commons[-1], same))
    return distances[-1], commons[-1]
