"""Definitions behind an offset, read without what stands before it."""

from __future__ import annotations

import pytest

from context.behind import definitions_behind
from context.outline import signature
from context.types import SourceFile

REST = b"""\
        return first

    @property
    def second(self) -> int:
        \"\"\"The second one.\"\"\"
        return 2

    class Inner:
        size = 3


LIMIT = 10


def last(a: int) -> int:
    return a
"""


def file_of(text: bytes, language: str = "python") -> SourceFile:
    """A file with this text."""
    return SourceFile(path="a.py", language=language, data=text)


def names(file: SourceFile, offset: int) -> list[str]:
    """Names of what is found."""
    return [definition.name for definition in definitions_behind(file, offset).definitions]


def test_definitions_are_found_whatever_indent_the_text_begins_with() -> None:
    """The rest of a method, methods of its class, and what is behind the class."""
    assert names(file_of(REST), 0) == ["second", "Inner", "size", "LIMIT", "last"]


@pytest.mark.parametrize("typed", [b"def f(", b"x = [(", b"class", b'"""', b"for a in b:\n  if"])
def test_a_half_typed_line_before_it_changes_nothing(typed: bytes) -> None:
    """Whatever stands before the offset is not looked at."""
    before = b"class A:\n    def first(self):\n        " + typed + b"\n"
    assert names(file_of(before + REST), len(before)) == names(file_of(REST), 0)


def test_offsets_lead_to_the_definitions_in_the_file() -> None:
    """With the lines of their decorators."""
    before = b"class A:\n    def first(self):\n"
    file = file_of(before + REST)
    behind = definitions_behind(file, len(before))
    second = behind.definitions[0]
    place = file.data[behind.start + second.start_byte : behind.start + second.end_byte]
    assert place.startswith(b"    @property\n    def second")
    assert place.endswith(b"return 2\n")
    shown = signature(second, behind.data)
    assert shown.startswith("    @property\n    def second(self) -> int:\n")
    assert '"""The second one."""' in shown


def test_indents_that_fall_in_steps() -> None:
    """A function within a method, then a method, then a function."""
    text = b"            def a(): pass\n    def b(self):\n        pass\ndef c(): pass\n"
    assert names(file_of(text), 0) == ["a", "b", "c"]


def test_nothing_to_find() -> None:
    """No definition, no text, no grammar."""
    assert names(file_of(b"    return 1\n"), 0) == []
    assert names(file_of(b""), 0) == []
    assert names(file_of(REST, "toml"), 0) == []


def test_a_long_text_is_read_up_to_a_bound() -> None:
    """The end of a very long file costs nothing."""
    text = b"".join(b"def f%d():\n    pass\n" % number for number in range(20_000))
    found = names(file_of(text), 0)
    assert found[:2] == ["f0", "f1"]
    assert 100 < len(found) < 3000
