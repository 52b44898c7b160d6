"""Whether a text goes on in a way its language allows."""

from __future__ import annotations

import ast
import inspect
import random

import pytest

import context.block
import context.parses
import context.scope
from context.parses import ParseGate, gate_for
from tests.context.test_scope import scope_of


def gate(marked: str, language: str = "python") -> ParseGate | None:
    """The gate for the place at the mark."""
    return gate_for(marked.split("‸")[0], scope_of(marked, language))


def parses(marked: str, text: str, language: str = "python", *, is_open: bool = False) -> bool:
    """Whether a place can go on with a text."""
    found = gate(marked, language)
    assert found is not None
    return found.parses(scope_of(marked, language).line_before + text, is_open=is_open)


@pytest.mark.parametrize(
    ("marked", "text", "good"),
    [
        ("def f():\n    ‸\n", "x = 1", True),
        ("def f():\n    ‸\n", "x = = 1", False),
        ("def f():\n    ‸\n", "x = 1 y = 2", False),
        ("def f():\n    ‸\n", "if x:", True),
        ("def f():\n    ‸\n", "if x", False),
        ("def f():\n    ‸\n", "foo(a,", True),
        ("def f():\n    ‸\n", "foo(a +", True),
        ("def f():\n    ‸\n", "foo(a b,", False),
        ("def f():\n    ‸\n", '"""text', True),
        ("def f():\n    ‸\n", "x = 1 + \\", True),
        ("def f():\n    ‸\n", "# any = = text", True),
        ("def f():\n    ‸\n", "foo(  # any = = text", True),
        ("class A:\n    ‸\n", "@property", True),
        ("x = [\n    ‸\n", "1,", True),
        ("x = [\n    ‸\n", "1 2,", False),
        ("if x:\n    y\n‸", "else:", True),
        ("y\n‸", "else:", False),
        ("print(‸)", "a, b", True),
    ],
)
def test_lines(marked: str, text: str, good: bool) -> None:
    """A complete line parses, with all that is open at its end closed."""
    assert parses(marked, text) is good


@pytest.mark.parametrize(
    "text",
    ["x = ", "return", "if x", "for x in", "for x", "while", "foo(a, b=", "x if y", "lambda x",
     "[y for y", "def g", "def g(a", "class A", "import a.", "from a", "with a as", "except", "{a",
     "not", "x = y[1:", '"half', "assert x,", "async", "del", "@p"],
)  # fmt: skip
def test_half_a_line(text: str) -> None:
    """A line that may go on parses whatever it lacks."""
    marked = (
        "def f():\n    try:\n        pass\n    ‸\n" if text == "except" else "def f():\n    ‸\n"
    )
    assert parses(marked, text, is_open=True)


@pytest.mark.parametrize("text", ["x = = ", "return x y ", "a b c ", "for for"])
def test_half_a_line_that_cannot_go_on(text: str) -> None:
    """What no end can make right does not parse."""
    assert not parses("def f():\n    ‸\n", text, is_open=True)


@pytest.mark.parametrize(
    ("marked", "language"),
    [
        ("def f(:\n    ‸\n", "python"),
        ("# ‸\n", "python"),
        ('"""‸\n', "python"),
        ("some text ‸\n", "plaintext"),
        ("int f(void) {\n  ‸\n}\n", "c"),
    ],
)
def test_places_without_a_gate(marked: str, language: str) -> None:
    """In text, where the text above does not parse, and without a grammar nothing is said."""
    assert gate(marked, language) is None


def test_a_long_definition_is_parsed_from_its_method() -> None:
    """Of a class that is too long the method at the cursor is parsed."""
    methods = "".join(f"    def f{n}(self):\n        return {n}\n\n" for n in range(400))
    marked = f"class A:\n{methods}    def g(self):\n        ‸\n"
    assert parses(marked, "return 1")
    assert not parses(marked, "return = 1")


def test_a_long_table_has_no_gate() -> None:
    """What is too long to be parsed for each line is left alone."""
    assert gate("x = [\n" + "    1,\n" * 2000 + "    ‸\n]\n") is None


@pytest.mark.parametrize(
    ("marked", "text", "language", "good"),
    [
        ("function f() {\n  ‸\n}\n", "const x = 1;", "javascript", True),
        ("function f() {\n  ‸\n}\n", "const x = = 1;", "javascript", False),
        ("function f() {\n  ‸\n}\n", "if (x) {", "javascript", True),
        ("function f() {\n  ‸\n}\n", "items", "javascript", True),
        ("function f(): void {\n  ‸\n}\n", "const x: number = 1;", "typescript", True),
        ("func f() {\n\t‸\n}\n", "x := 1", "go", True),
        ("func f() {\n\t‸\n}\n", "x := := 1", "go", False),
        ("fn f() {\n    ‸\n}\n", "let x = 1;", "rust", True),
        ("fn f() {\n    ‸\n}\n", "let let x = 1;", "rust", False),
    ],
)
def test_other_languages(marked: str, text: str, language: str, good: bool) -> None:
    """Languages with braces are parsed where their grammar is there."""
    pytest.importorskip("tree_sitter_language_pack")
    assert parses(marked, text, language) is good


@pytest.mark.parametrize("module", [context.block, context.parses, context.scope])
def test_real_code_parses_line_by_line(module: object) -> None:
    """Of code that is right no line is refused, wherever the cursor stands in it."""
    source = inspect.getsource(module)  # type: ignore[arg-type]
    ast.parse(source)
    lines = source.split("\n")
    chance = random.Random(module.__name__)  # type: ignore[attr-defined]
    for _ in range(40):
        line = chance.randrange(len(lines) - 8)
        column = chance.randrange(len(lines[line]) + 1)
        before = "\n".join([*lines[:line], lines[line][:column]])
        found = gate_for(before, scope_of(f"{before}‸\n"))
        if found is None:
            continue
        for size in range(1, 8):
            text = "\n".join(lines[line : line + size])
            assert found.parses(text, is_open=False), text
