"""Trees that are updated equal trees that are parsed anew."""

from __future__ import annotations

import random

import pytest
import tree_sitter

from context.syntax import SyntaxTree, changed_range
from context.types import SourceFile
from tests.context.fuzz_syntax import Shape, run, shape_of


def source(text: str, language: str = "python") -> SourceFile:
    """A file with this text."""
    return SourceFile(path="a.py", language=language, data=text.encode())


def shape(tree: SyntaxTree | None) -> list[Shape]:
    """All nodes of a tree."""
    assert tree is not None
    return shape_of(tree.root)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", (0, 0, 0)),
        ("abc", "abc", (3, 3, 3)),
        ("abc", "abXc", (2, 2, 3)),
        ("abXc", "abc", (2, 3, 2)),
        ("aaa", "aaaa", (3, 3, 4)),
        ("aaaa", "aaa", (3, 4, 3)),
        ("", "abc", (0, 0, 3)),
        ("abc", "", (0, 3, 0)),
        ("one two three", "one 2 three", (4, 7, 5)),
    ],
)
def test_changed_range_is_the_smallest(old: str, new: str, expected: tuple[int, int, int]) -> None:
    """The range leaves out what both texts begin and end with."""
    assert changed_range(old.encode(), new.encode()) == expected


def test_changed_range_of_random_texts() -> None:
    """Replacing the range turns the old text into the new one."""
    chance = random.Random(1)
    for _ in range(2000):
        old = bytes(chance.choices(b"ab\n", k=chance.randrange(12)))
        new = bytes(chance.choices(b"ab\n", k=chance.randrange(12)))
        start, old_end, new_end = changed_range(old, new)
        assert start <= min(old_end, new_end)
        assert old[:start] + new[start:new_end] + old[old_end:] == new


def test_update_equals_parse_after_random_edits() -> None:
    """Random edits, with lone carriage returns, tabs, quotes and wide characters."""
    assert run(n_edits=1500, seed=7) == 0


def test_update_leaves_the_older_version_alone() -> None:
    """An older tree still describes the older text."""
    old = SyntaxTree.parse(source("def f():\n    pass\n"))
    assert old is not None
    before = shape(old)
    SyntaxTree.update(old, source("class A:\n    pass\n"))
    assert shape(old) == before


def test_other_languages_have_no_tree() -> None:
    """Without a grammar there is no tree; a document that changes its language is parsed anew."""
    assert SyntaxTree.parse(source("x", "lua")) is None
    python = SyntaxTree.parse(source("x = 1\n"))
    assert python is not None
    assert SyntaxTree.update(python, source("x = 1\n", "lua")) is None


def test_same_text_keeps_the_tree() -> None:
    """Nothing is parsed when nothing changed."""
    tree = SyntaxTree.parse(source("x = 1\n"))
    assert tree is not None
    again = SyntaxTree.update(tree, source("x = 1\n"))
    assert again is not None
    assert isinstance(again.root, tree_sitter.Node)
    assert shape(again) == shape(tree)
