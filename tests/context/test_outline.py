"""What is left of definitions when their bodies do not fit."""

from __future__ import annotations

import pytest

from context.outline import Definition, flatten, instance_attributes, signature
from context.reader import definitions
from context.syntax import SyntaxTree
from context.types import SourceFile

SHOP = '''"""Shop."""

LIMIT = 5
PRICES: dict[str, float] = {
    "tea": 1.5,
}


@cached
@app.route("/load")
def load(
    path: str,
    *,
    strict: bool = True,
) -> dict:
    """Read a file.

    More about it.
    """
    def inner():
        pass
    return inner()


class Cart(dict):
    r"""Things to buy."""

    size = 1
    owner: str

    class Line:
        pass

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.lines: list[str] = []
        self.table = make_a_table_from(first_argument, second_argument, third_argument, fourth)
        if self.owner == "me":
            self.owner = "you"

    async def fetch(self): return 1


if DEBUG:
    def debug(): ...
'''


def outline(text: str) -> tuple[bytes, list[Definition]]:
    """A text and all its definitions."""
    data = text.encode()
    tree = SyntaxTree.parse(SourceFile(path="a.py", language="python", data=data))
    assert tree is not None
    return data, flatten(definitions(tree.root, data))


def of(name: str) -> tuple[bytes, Definition]:
    """One definition of the shop."""
    data, found = outline(SHOP)
    return data, next(definition for definition in found if definition.name == name)


def test_definitions_are_found_in_order() -> None:
    """Functions, classes, members and constants, but nothing from inside a function."""
    _, found = outline(SHOP)
    assert [(definition.kind, definition.name) for definition in found] == [
        ("constant", "LIMIT"),
        ("constant", "PRICES"),
        ("function", "load"),
        ("class", "Cart"),
        ("constant", "size"),
        ("constant", "owner"),
        ("class", "Line"),
        ("function", "__init__"),
        ("function", "fetch"),
        ("function", "debug"),
    ]
    starts = [definition.start_byte for definition in found]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LIMIT", "LIMIT = 5\n"),
        ("PRICES", "PRICES: dict[str, float] = ...\n"),
        ("size", "    size = 1\n"),
        ("owner", "    owner: str\n"),
        (
            "load",
            '@cached\n@app.route("/load")\n'
            "def load(\n    path: str,\n    *,\n    strict: bool = True,\n"
            ') -> dict:\n    """Read a file."""\n    ...\n',
        ),
        ("Cart", 'class Cart(dict):\n    """Things to buy."""\n'),
        ("Line", "    class Line: ...\n"),
        ("fetch", "    async def fetch(self): ...\n"),
        ("debug", "    def debug(): ...\n"),
    ],
)
def test_signature(name: str, expected: str) -> None:
    """Decorators, parameters and the docstring's first line stay; the body goes."""
    data, definition = of(name)
    assert signature(definition, data) == expected


def test_signature_without_docstring() -> None:
    """The docstring can be left out."""
    data, definition = of("load")
    assert signature(definition, data, with_docstring=False).endswith(") -> dict: ...\n")


def test_instance_attributes() -> None:
    """Each attribute is named once, with its value where that is short."""
    data, definition = of("__init__")
    assert instance_attributes(definition, data) == (
        "    def __init__(self, owner: str) -> None:\n"
        "        self.owner = owner\n"
        "        self.lines: list[str] = []\n"
        "        self.table = ...\n"
    )


@pytest.mark.parametrize(
    "text",
    ["def ", "def f(", "class A", "class A:", "def f(x):\n", "@a\n@b\n", "x =",
     "def f():\n\t", "class A(\n\n\n"],
)  # fmt: skip
def test_half_typed(text: str) -> None:
    """Whatever is made of half-typed text, its signatures are part of it."""
    data, found = outline(text)
    for definition in found:
        assert 0 <= definition.start_byte <= definition.header_end <= len(data)
        assert signature(definition, data).endswith("\n")


def test_deep_nesting_ends() -> None:
    """A thousand nested blocks do not exhaust the stack."""
    text = "".join(" " * depth + "if x:\n" for depth in range(1000)) + " " * 1000 + "def f(): ...\n"
    assert outline(text)[1] == []
    text = "".join(" " * depth + f"class A{depth}:\n" for depth in range(500))
    assert 1 <= len(outline(text)[1]) < 100
