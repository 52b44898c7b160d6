"""What a Python file imports."""

from __future__ import annotations

import random

import pytest

from context.types import SourceFile
from context.workspace.imports import Import, imports_in, imports_of, relative_stem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import os", [Import("os", "os")]),
        ("import os.path as p, sys", [Import("p", "os.path"), Import("sys", "sys")]),
        ("from a.b import c, d as e", [Import("c", "a.b", 0, "c"), Import("e", "a.b", 0, "d")]),
        ("from . import x", [Import("x", "", 1, "x")]),
        ("from ..pkg.mod import *", [Import("*", "pkg.mod", 2, "*")]),
        ("from a import (\n    b,  # why\n    c as d,\n)", [Import("b", "a", 0, "b"),
                                                             Import("d", "a", 0, "c")]),
        ("def f():\n    from a import b\n", [Import("b", "a", 0, "b")]),
        ("if TYPE_CHECKING:\n    import a", [Import("a", "a")]),
        ("from a import b; x = 1", [Import("b", "a", 0, "b")]),
        ("from a import (b,\n    c", [Import("b", "a", 0, "b"), Import("c", "a", 0, "c")]),
        ("from a import \\\n    b", []),
        ("from import x\nimport", []),
        ("# from a import b\nx = 'import y'", []),
        ("important = 1\nfromage = 2", []),
    ],
)  # fmt: skip
def test_imports_are_read(text: str, expected: list[Import]) -> None:
    """Plain, renamed, relative, in parentheses, in functions, half-typed."""
    assert list(imports_of(text)) == expected


def test_order_is_that_of_the_file() -> None:
    """Both forms in one list."""
    text = "import a\nfrom b import c\nimport d\n"
    assert [item.local for item in imports_of(text)] == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("item", "path", "expected"),
    [
        (Import("x", "", 1, "x"), "src/pkg/m.py", "src/pkg"),
        (Import("x", "mod", 1, "x"), "src/pkg/m.py", "src/pkg/mod"),
        (Import("x", "mod", 2, "x"), "src/pkg/m.py", "src/mod"),
        (Import("x", "mod", 9, "x"), "src/pkg/m.py", None),
    ],
)
def test_where_a_module_may_lie(item: Import, path: str, expected: str | None) -> None:
    """Dots go up from the file's folder, and no further than the root."""
    assert relative_stem(item, path) == expected


@pytest.mark.parametrize("seed", range(3))
def test_imports_of_a_file_in_blocks_are_those_of_its_text(seed: int) -> None:
    """Wherever one block ends and the next begins, in the middle of an import, too."""
    chance = random.Random(seed)
    lines = [
        *("import os\n", "from a import (\n", "    one,\n", "    two)\n", "x = 1\n", "\n"),
        *("from . import b as c; import d\n", "    import e.f as g  # (\n", ")\n"),
    ]
    for _ in range(300):
        text = chance.choices(lines, k=chance.randrange(12))
        cuts = sorted(chance.randrange(len(text) + 1) for _ in range(3))
        ranges = zip([0, *cuts], [*cuts, len(text)], strict=True)
        blocks = tuple("".join(text[start:end]).encode() for start, end in ranges)
        data = b"".join(blocks)
        file = SourceFile(path="a.py", language="python", data=data, blocks=blocks)
        assert imports_in(file) == imports_of(data.decode())
