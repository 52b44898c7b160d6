"""Definitions that are brought up to date instead of being read again."""

from __future__ import annotations

import random

import pytest

from context.definitions import Definitions
from context.outline import Definition, flatten, line_start
from context.reader import Reader, definitions
from context.syntax import SyntaxTree
from context.types import SourceFile
from tests.context.fuzz_syntax import PIECES, SEED_TEXT

SHOP = (
    "import os\nfrom typing import (\n    Any,\n)\n\nLIMIT = 5; import re\n\n\n"
    "class Cart:\n    size = 1\n\n    class Line:\n        price = 0\n\n"
    + "".join(f"    def step{n}(self):\n        return {n}\n\n" for n in range(40))
    + "\nif LIMIT:\n    def limited(): ...\n\n\ndef total(cart):\n    return cart.size\n"
)


def tree_of(text: str) -> SyntaxTree:
    """The tree of a text that nothing is known of."""
    data = text.encode("utf-8", "replace")
    tree = SyntaxTree.parse(SourceFile(path="a.py", language="python", data=data))
    assert tree is not None
    return tree


def with_owners(found: tuple[Definition, ...], owner: str = "") -> list[tuple[Definition, str]]:
    """Definitions and members, each with the name of its class."""
    flat = []
    for each in found:
        flat += [(each, owner), *with_owners(each.members, each.name)]
    return flat


def is_like_new(tree: SyntaxTree, chance: random.Random) -> None:
    """All answers are those that a plain look through all definitions gives."""
    found = definitions(tree.root, tree.data)
    flat = flatten(found)
    data, known = tree.data, tree.definitions
    assert [*known] == flat
    start = chance.randrange(len(data) + 1)
    end = chance.randint(start, len(data))
    near = known.near(start, end)
    first, last = line_start(data, start), data.find(b"\n", end)
    last = len(data) if last < 0 else last
    assert {d.start_byte for d in flat if d.start_byte <= last and d.end_byte > first} <= {
        d.start_byte for d in near
    }
    above = [*known.above(start)]
    assert [*reversed(above), *known.near(start, len(data))] == flat
    assert all(d.end_byte <= first for d in above)
    names = {d.name for d in flat if chance.random() < 0.3}
    assert known.named(names) == [pair for pair in with_owners(found) if pair[0].name in names]
    assert [*known.imports()] == [*tree_of(data.decode()).definitions.imports()]


@pytest.mark.parametrize(("text", "seed"), [(SEED_TEXT * 2, 3), (SHOP, 4), (SHOP, 5)])
def test_definitions_brought_up_to_date_are_those_of_the_new_text(text: str, seed: int) -> None:
    """Whatever is typed where: nothing of the old version stays, nothing of the new one lacks."""
    chance = random.Random(seed)
    tree = tree_of(text)
    for number in range(120):
        if number % 30 == 0:
            text = SHOP if seed > 3 else text
        tree.definitions.named(["step7"])  # so that the next version can go on from it
        at = chance.randrange(len(text) + 1)
        if chance.random() < 0.6:
            text = text[:at] + chance.choice(PIECES) + text[at:]
        else:
            text = text[:at] + text[at + chance.randrange(1, 30) :]
        data = text.encode("utf-8", "replace")
        updated = SyntaxTree.update(tree, SourceFile(path="a.py", language="python", data=data))
        assert updated is not None
        is_like_new(updated, chance)
        tree = updated


def test_a_key_in_a_method_has_the_other_methods_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a class only what was touched is read; the nodes beside the class are not."""
    tree = tree_of(SHOP)
    assert [*tree.definitions]
    read = []
    within = Reader.within

    def watched(self: Reader, node: object, depth: int = 0) -> object:
        read.append(node)
        return within(self, node, depth)  # type: ignore[arg-type]

    monkeypatch.setattr(Reader, "within", watched)
    text = SHOP.replace("return 7\n", "return 7 + 1\n")
    for data in (text.encode(), text.replace("+ 1", "+ 12").encode()):
        updated = SyntaxTree.update(tree, SourceFile(path="a.py", language="python", data=data))
        assert updated is not None
        assert [d.name for d in updated.definitions][-1] == "total"
        assert len(read) == 2  # the class, and the method in it
        read.clear()
        tree = updated


def test_imports_are_whole_lines() -> None:
    """Of several on one line the first one counts; those inside of blocks do not."""
    tree = tree_of(SHOP + "try:\n    import json\nexcept ImportError: ...\nimport a; import b\n")
    texts = [tree.data[start:end].decode() for start, end in tree.definitions.imports()]
    assert texts == [
        "import os\n",
        "from typing import (\n    Any,\n)\n",
        "LIMIT = 5; import re\n",
        "import a; import b\n",
    ]


def test_a_file_without_a_tree_defines_nothing() -> None:
    """Every question has an answer."""
    nothing = Definitions()
    assert [*nothing, *nothing.near(0, 9), *nothing.above(9), *nothing.named(["a"])] == []
    assert [*nothing.imports()] == []
