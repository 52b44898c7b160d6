"""The single rules."""

from __future__ import annotations

import random
import re

import pytest

from lsp_server.postprocess.above import above_cut
from lsp_server.postprocess.below import below_cut, distance, n_held, same_line
from lsp_server.postprocess.cut import Cut, first, seen_first
from lsp_server.postprocess.indent import unit_of
from lsp_server.postprocess.overlap import overlap_with_line_after, reached_cut
from lsp_server.postprocess.repeats import Loops, equal_lines_cut
from lsp_server.postprocess.safety import unsafe_cut
from lsp_server.postprocess.surroundings import is_closing
from lsp_server.postprocess.trivial import is_trivial

_LINES = "a = load(first)\nb = save(second)\nc = a + b * (d - e) / f[g]"


def test_the_end_that_is_seen_first_holds() -> None:
    """Of several ends the one that needs the least text counts, then the shortest."""
    assert first([Cut(9, 2, "a"), None, Cut(5, 4, "b"), Cut(5, 3, "c")]) == Cut(5, 3, "c")
    assert first([None]) is None


def test_where_an_end_is_seen_is_found() -> None:
    """The shortest text in which a function finds its end is told."""

    def keep(text: str) -> int | None:
        return 2 if len(text) >= 7 else None

    assert seen_first("0123456789", keep, "x") == Cut(7, 2, "x")
    assert seen_first("012345", keep, "x") is None


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("a = 1\nb = 2\nc = 3", None),
        ("x()\nx()\nx()\n", "x()"),
        ("a\nx()\nx()\nx()\n", "a\nx()"),
        ("    x()\n        x()\n  x()\n", "    x()"),
        ("x()\nx()\nx() + 1\n", None),
        ("x()\nx()\n", None),
        ("}\n}\n}\n", None),
        ("\n\n\n", None),
    ],
)
def test_equal_lines(text: str, keep: str | None) -> None:
    """Of three equal lines one is kept; two may be right, and closing lines always."""
    cut = equal_lines_cut(text.split("\n")[:-1])
    assert (cut and text[: cut.keep]) == keep


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("foo(" + "bar, " * 6, "foo(bar, "),
        ("foo(" + "bar, " * 5, None),
        ("abc" * 6, "abc"),
        ("----------------------------------------", None),
        ("####################", None),
        ("[0, 0, 0, 0, 0, 0, 0, 0]", None),
        ("0, " * 16, "0, "),
        ("a longer piece; " * 4, "a longer piece; "),
        ("a longer piece; " * 3, None),
        (" ".join(["x"] * 12), "x"),
        (f"{_LINES}\n" * 3, _LINES),
    ],
)  # fmt: skip
def test_loops(text: str, keep: str | None) -> None:
    """What repeats often enough is cut to one; rulers and tables of numbers are no loops."""
    cut = Loops().cut(text)
    assert (cut and text[: cut.keep]) == keep


def test_loops_are_found_as_a_search_finds_them() -> None:
    """What is counted step by step is what the patterns find in each beginning of a text."""
    short = re.compile(r"(?=[\s\S]*)([a-c ]{3,9})\1{5}\Z")
    long = re.compile(r"([a-c ]{10,80})\1{3}\Z")
    chance = random.Random(5)
    for _ in range(300):
        unit = "".join(chance.choices("abc ", k=chance.randrange(3, 16)))
        head = "".join(chance.choices("abc ", k=chance.randrange(8)))
        text = head + unit * chance.randrange(2, 8) + "c"
        ends = (
            n for n in range(len(text) + 1) if short.search(text, 0, n) or long.search(text, 0, n)
        )
        end = next((n for n in ends if any(map(str.isalpha, text[:n]))), None)
        cut = Loops().cut(text)
        if end is not None:
            assert cut is not None
            assert cut.at <= end


@pytest.mark.parametrize(
    ("text", "after", "final", "size"),
    [
        ("a, b)", ", b)", True, 4),
        ("a, b", ", b)", False, 3),
        ("a, ", ", b)", False, 2),
        ("hello", ")", True, 0),
        ("hello)", ")", True, 1),
        ("len(hello)", ")", True, 0),
        ("len(hello))", ")", True, 1),
        ("value", "e + 1", True, 0),
        ("value", "e + 1", False, 1),
        ("x", "", True, 0),
        ("x:", ":   ", True, 1),
        ("same", "same", True, 4),
    ],
)
def test_overlap_with_line_after(text: str, after: str, final: bool, size: int) -> None:
    """What the text shares with the rest of the line is found, but for brackets of its own."""
    assert overlap_with_line_after(text, after, final=final) == size


@pytest.mark.parametrize(
    ("text", "after", "found"),
    [
        ("a, beta, c) + 1", "beta, c)", Cut(11, 3, "suffix")),
        ("alphabeta, c)", "beta, c)", None),
        ("a, b)", "b)", None),
        ("x = 1", "", None),
        ("a == expected, message of", "== expected, message or", Cut(22, 2, "suffix")),
    ],
)
def test_reached(text: str, after: str, found: Cut | None) -> None:
    """The text ends where it has come to the 20 characters right of the cursor."""
    assert reached_cut(text, after) == found


@pytest.mark.parametrize(
    ("lines", "below", "start", "found"),
    [
        (["    x = 1", "    return x"], ["    return x"], 4, Cut(19, 5, "next_line")),
        (["    x = 1", "    return x + 1"], ["    return x"], 4, None),
        (["    return x"], ["    return x"], 4, Cut(9, 0, "next_line")),
        (["        return x"], ["    return x"], 0, None),
        ([")"], [")"], 0, None),
        ([")", "y"], [")", "x"], 0, None),
        (["a", "", ")", "x"], [")", "x"], 0, Cut(7, 2, "next_line")),
        (["a"], [], 0, None),
    ],
)
def test_below(lines: list[str], below: list[str], start: int, found: Cut | None) -> None:
    """A line that stands below already ends the text, brackets together with what follows them."""
    assert below_cut(lines, below, start) == found


@pytest.mark.parametrize(
    ("lines", "growing", "below", "n"),
    [
        (["a"], "    ret", ["    return x"], 1),
        (["a"], "    rex", ["    return x"], 0),
        (["a", ")"], "", [")", "x"], 2),
        (["a", ")"], "y", [")", "x"], 0),
        ([], "return", ["return x"], 1),
        ([], "return x + 1", ["return x"], 0),
        (["a"], "", ["b"], 0),
    ],
)
def test_held(lines: list[str], growing: str, below: list[str], n: int) -> None:
    """Lines that may become those below are held back."""
    assert n_held(lines, growing, below) == n


@pytest.mark.parametrize(
    ("line", "wanted", "same"),
    [
        ("return x", "return x  ", True),
        ("foo(alpha, beta, gamma)", "foo(alpha,beta, gamma)", True),
        ("foo(alpha, beta, gamma)", "foo(alpha, beta, delta)", False),
        ("assert response.status_code == 200", "assert response.status_code == 201", False),
        ("  return total_of_all(x)", "return total_of_all(x)", False),
        ("x = [1, 2]", "x = (1, 2)", False),
    ],
)
def test_same_line(line: str, wanted: str, same: bool) -> None:
    """Lines are the same with a tenth of other signs, but not with another word or column."""
    assert same_line(line, wanted) is same


def test_distance() -> None:
    """The Levenshtein distance counts what is inserted, removed and replaced."""
    assert distance("kitten", "sitting") == 3
    assert distance("", "abc") == 3
    assert distance("same", "same") == 0


@pytest.mark.parametrize(
    ("lines", "above", "found"),
    [
        (["    app.add(one)"], ["    app.add(one)"], Cut(17, 0, "line_above")),
        (["    app.add(two)"], ["    app.add(one)"], None),
        (["alpha_one()", "beta_two()"], ["alpha_one()", "beta_two()"], Cut(23, 0, "line_above")),
        (["beta_two()"], ["beta_two()", "alpha_one()"], None),
        (["next(it)"], ["next(it)"], None),
        ([], ["beta_two()"], None),
    ],
)
def test_above(lines: list[str], above: list[str], found: Cut | None) -> None:
    """A text that begins with the last lines above is nothing; short lines may be right twice."""
    assert above_cut(lines, above) == found


@pytest.mark.parametrize("character", ["\u202e", "\u200b", "\u2066", "\x1b", "\0", "\U000e0041"])
def test_unsafe_characters(character: str) -> None:
    """Hidden characters are refused unless the document has them already."""
    assert unsafe_cut(f"a{character}b", "plain") == Cut(2, 0, "unsafe_characters")
    assert unsafe_cut(f"a{character}b", f"has {character} already") is None


def test_safe_characters() -> None:
    """Tabs, line ends, accents, emoji and CJK are no danger."""
    assert unsafe_cut("\tname = 'é 漢字 🎉'\n", "") is None


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("def f():\n    x\n", "    "),
        ("def f():\n  x\n  if y:\n    z\n", "  "),
        ("def f():\n\tx\n", "\t"),
        ("foo(a,\n    b)\n", ""),
        ("x = 1\n", ""),
        ("if a {\n   b\n}\n", "   "),
    ],
)
def test_unit(text: str, unit: str) -> None:
    """The unit of a file is what its blocks are indented by."""
    assert unit_of(text) == unit


@pytest.mark.parametrize(
    ("line", "closing"),
    [("  }", True), ("});", True), ("  end", True), ("</div>", True), ("", True), ("end_of", False),
     ("return x", False), ("} else {", True), ("<div>", False)],
)  # fmt: skip
def test_closing(line: str, closing: bool) -> None:
    """Brackets, closing tags and words only close something."""
    assert is_closing(line) is closing


@pytest.mark.parametrize(
    ("text", "trivial"),
    [(")", True), ("):", True), (")))", False), ("x", False), ("10", False), ("\n)", True),
     ("a\n)", False), ("", True)],
)  # fmt: skip
def test_trivial(text: str, trivial: bool) -> None:
    """One or two signs are as quick to type as to accept."""
    assert is_trivial(text) is trivial
