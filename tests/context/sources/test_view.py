"""What is known of the cursor's place."""

from __future__ import annotations

from context.sources.view import chains_in
from tests.context.sources.places import Place

TEXT = '''import json
from shop import Cart as Basket


class Till:
    def close(self, basket: Basket) -> int:
        """Close."""
        total = basket.total()
        return total.rounded(‸)

    def open(self): ...
'''


def test_near_names_weigh_more() -> None:
    """The cursor's line most, then those around it, then those far off."""
    weights = Place("till.py", TEXT, {}).view.weights
    assert weights["rounded"] == 1.5  # its arguments are written
    assert weights["rounded"] > weights["basket"] > weights["json"] > 0
    assert "self" not in weights
    assert "return" not in weights


def test_the_header_around_counts_as_near() -> None:
    """What a function takes is wanted in all of its body."""
    body = "".join(f"        line_{n} = {n}\n" for n in range(60))
    text = TEXT.replace('        """Close."""\n', body)
    assert Place("till.py", text, {}).view.weights["Basket"] >= 0.7


def test_what_is_around() -> None:
    """Definitions around the cursor, outermost first, and the imports."""
    view = Place("till.py", TEXT, {}).view
    assert [d.name for d in view.enclosing] == ["Till", "close"]
    assert [item.local for item in view.imports] == ["json", "Basket"]


def test_chains_keep_attributes_together() -> None:
    """A name with what is asked of it."""
    assert [*chains_in("x = a.b.c(d) if not e else f.g")] == [
        *(("x",), ("a", "b", "c"), ("d",), ("e",), ("f", "g")),
    ]
