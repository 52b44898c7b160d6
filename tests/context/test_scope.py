"""Where the cursor stands: kind, block, indent, and how much to suggest."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

import pytest

from context.scope import cursor_scope
from context.syntax import SyntaxTree
from context.types import CursorScope, SourceFile
from tests.context.fuzz_syntax import PIECES, SEED_TEXT

_GOLDEN = Path(__file__).parent.parent / "golden" / "context" / "scope.toml"
CASES: list[dict[str, Any]] = tomllib.loads(_GOLDEN.read_text())["case"]
FIELDS = {
    "kind",
    "line_before",
    "line_after",
    "next_line",
    "indent",
    "multi_line",
    "enclosing",
}


def scope_of(marked: str, language: str = "python") -> CursorScope:
    """The scope at the mark."""
    before, after = marked.split("‸")
    file = SourceFile(path="a", language=language, data=(before + after).encode())
    tree = SyntaxTree.parse(file)
    return cursor_scope(file, tree.root if tree else None, len(before.encode()))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_golden(case: dict[str, Any]) -> None:
    """The scope is as the golden file says."""
    wanted = {key: value for key, value in case.items() if key in FIELDS}
    assert wanted.keys() | {"name", "text", "language"} >= case.keys()
    if "indent" in wanted:
        wanted["indent"] = wanted["indent"].replace("·", " ").replace("→", "\t")
    scope = scope_of(case["text"], case.get("language", "python"))
    assert {key: getattr(scope, key) for key in wanted} == wanted


@pytest.mark.parametrize(
    ("marked", "place", "callee"),
    [
        ("x = ‸", "statement", ""),
        ("x = shop.open(‸)", "arguments", "shop.open"),
        ("x = open(\n    [1, (2), ‸\n", "arguments", "open"),
        ("f(g(1), h(‸))", "arguments", "h"),
        ("f(g(1), ‸)", "arguments", "f"),
        ("if (‸", "statement", ""),
        ("rows[‸]", "statement", ""),
        ("def f(‸", "parameters", ""),
        ("async def f(a, b=‸", "parameters", ""),
        ("def f(a=g(‸", "arguments", "g"),
        ("class A(‸", "arguments", "A"),
        ("@‸\ndef f(): ...", "decorator", ""),
        ("@app.route(‸)\ndef f(): ...", "arguments", "app.route"),
        ("def f():\n    ‸", "empty_body", ""),
        ("if a(\n    b\n):\n    ‸", "empty_body", ""),
        ("def f():\n    pass\n    ‸", "statement", ""),
        ("x = 'f(‸", "text", ""),
        ("# f(‸", "text", ""),
        ("x = 1  # why:\n‸", "statement", ""),
    ],
)
def test_what_is_written_at_the_cursor(marked: str, place: str, callee: str) -> None:
    """A statement, arguments, parameters, a decorator, the first line of a body, or text."""
    scope = scope_of(marked)
    assert (scope.place, scope.callee) == (place, callee)


def test_the_tree_does_not_matter() -> None:
    """What is said of Python comes from the text, so a broken tree changes nothing."""
    for case in CASES:
        if case.get("language", "python") == "python":
            before, after = case["text"].split("‸")
            file = SourceFile(path="a", language="python", data=(before + after).encode())
            assert cursor_scope(file, None, len(before.encode())) == scope_of(case["text"])


def test_every_position_of_a_file() -> None:
    """At each character the lines left and right of the cursor join to the line."""
    lines = SEED_TEXT.split("\n")
    offset = 0
    for line in lines:
        for column in range(len(line) + 1):
            marked = SEED_TEXT[: offset + column] + "‸" + SEED_TEXT[offset + column :]
            scope = scope_of(marked)
            assert (scope.line_before, scope.line_after) == (line[:column], line[column:])
            assert scope.indent.strip() == ""
        offset += len(line) + 1


@pytest.mark.parametrize("language", ["python", "javascript", "rust", "markdown"])
def test_random_texts_never_fail(language: str) -> None:
    """However broken a text is, there is a scope."""
    chance = random.Random(5)
    for _ in range(400):
        text = "".join(chance.choices([*PIECES, "/*", "*/", "//", "return x\n"], k=30))
        cursor = chance.randrange(len(text) + 1)
        scope = scope_of(text[:cursor] + "‸" + text[cursor:], language)
        before = text[:cursor].replace("\r", "\n")
        assert scope.line_before == before[before.rfind("\n") + 1 :]
        assert scope.indent.strip() == ""


def test_an_offset_past_the_end_means_the_end() -> None:
    """A cursor outside of the file is put to its end."""
    file = SourceFile(path="a", language="python", data=b"x = 1")
    assert cursor_scope(file, None, 99).line_before == "x = 1"


@pytest.mark.parametrize("filler", ["x", "(", '"', "'''", "\\", "#", "[x] "])
def test_one_long_line(filler: str) -> None:
    """A line of a megabyte is no trouble."""
    size = 1_000_000 // len(filler)
    scope = scope_of(filler * size + "‸")
    assert len(scope.line_before) == size * len(filler)
