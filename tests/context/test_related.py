"""What other files give to the prompt: all sources together, whatever is typed."""

from __future__ import annotations

import random

import msgspec
import pytest

from context.budget import estimate_tokens
from context.gather import gather
from context.rank import Chosen
from context.related import WEIGHTS, Related, Wanted
from context.sources.recent import Visit
from context.syntax import SyntaxTree
from context.types import Snippet, SourceFile
from tests.context.fuzz_syntax import PIECES, SEED_TEXT
from tests.context.sources.places import BUDGET, Place, index_of
from tests.context.sources.test_sources import CART, MONEY, OTHERS

TILL = '''from shop.cart import Base, Cart, empty_cart


class Gift(Base):
    """A present."""

    def total(self, tax: float) -> float:
        cart = empty_cart("me")
        cart.add_line(‸)
'''


def found_at(
    place: Place, related: Related, wanted: Wanted, before: tuple[Snippet, ...] = ()
) -> Chosen:
    """What is chosen at a cursor."""
    return related.find(
        place.file, place.tree, place.path, place.cursor, place.context, wanted, before
    )


def test_all_sources_are_heard() -> None:
    """Definitions, base classes, and what is pinned; within the budget, best first."""
    place = Place("gift.py", TILL, OTHERS)
    wanted = Wanted(n_tokens=400, pinned=("shop/money.py",))
    chosen = found_at(place, Related(place.index), wanted)
    assert {"definition", "base_class", "pinned"} <= {s.origin for s in chosen.snippets}
    assert sum(estimate_tokens(s.text) for s in chosen.snippets) <= chosen.n_tokens <= 400


def test_a_source_can_be_left_out() -> None:
    """By a weight of 0."""
    place = Place("gift.py", TILL, OTHERS)
    wanted = Wanted(n_tokens=400, weights={"hierarchy": 0.0})
    chosen = found_at(place, Related(place.index), wanted)
    origins = {s.origin for s in chosen.snippets} | {d.snippet.origin for d in chosen.dropped}
    assert "base_class" not in origins
    assert set(WEIGHTS) >= {"definitions", "hierarchy", "similar", "usages", "recent", "siblings"}


def test_secrets_of_other_files_are_not_shown() -> None:
    """Whatever source brings them."""
    key = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
    others = OTHERS | {"shop/conf.py": f'TOKEN = "{key}"\n\n\ndef connect_shop(): ...\n'}
    text = "from shop.conf import TOKEN, connect_shop\nconnect_shop(‸)\n"
    place = Place("till.py", text, others)
    related = Related(place.index)
    related.visits = [Visit(path="shop/conf.py", first_line=0, last_line=0, edited=True)]
    chosen = found_at(place, related, Wanted(n_tokens=800, pinned=("shop/conf.py",)))
    assert key not in repr(msgspec.to_builtins(chosen))
    assert "connect_shop" in repr(msgspec.to_builtins(chosen))


def test_nothing_is_asked_without_a_budget() -> None:
    """No work where nothing is to be shown."""
    place = Place("gift.py", TILL, OTHERS)
    chosen = found_at(place, Related(place.index), Wanted(n_tokens=0))
    assert (chosen.snippets, chosen.dropped) == ((), ())


def test_what_is_chosen_is_steady_while_a_line_is_typed() -> None:
    """Of the snippets of one key nearly all are there at the next one, in the same order."""
    line = '        cart.add_line("book", Price(12.5))'
    base = TILL.replace("        cart.add_line(‸)\n", "")
    related: Related | None = None
    before: tuple[Snippet, ...] = ()
    n_kept = n_all = 0
    for end in range(1, len(line)):
        place = Place("gift.py", base + line[:end] + "‸\n", OTHERS)
        related = related or Related(place.index)
        chosen = found_at(place, related, Wanted(n_tokens=300), before)
        paths = [s.path for s in before if s in chosen.snippets]
        assert [s.path for s in chosen.snippets if s in before] == paths
        n_kept += len([s for s in before if s.text in {c.text for c in chosen.snippets}])
        n_all += len(before)
        before = chosen.snippets
    assert n_kept >= 0.9 * n_all


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_typed(seed: int) -> None:
    """Half-typed code of every kind, at every place: always an answer within the budget."""
    chance = random.Random(seed)
    index = index_of(OTHERS | {"odd.py": "class (:\n  def\n", "empty.py": ""})
    related = Related(index)
    text = SEED_TEXT + CART + MONEY
    for _ in range(60):
        at = chance.randrange(len(text) + 1)
        if chance.random() < 0.6:
            text = text[:at] + chance.choice(PIECES) + text[at:]
        else:
            text = text[:at] + text[at + chance.randrange(40) :]
        data = text.encode("utf-8", "replace")
        file = SourceFile(path="typed.py", language="python", data=data)
        tree = SyntaxTree.parse(file)
        cursor = len(text[: chance.randrange(len(text) + 1)].encode("utf-8", "replace"))
        context = gather(file, tree, cursor, BUDGET)
        n_tokens = chance.choice([40, 200, 600])
        chosen = related.find(
            file, tree, "typed.py", cursor, context, Wanted(n_tokens=n_tokens), ()
        )
        assert chosen.n_tokens <= n_tokens


@pytest.mark.parametrize(
    "text",
    [
        "(" * 20_000,
        "class A(" * 3_000,
        "if x:\n" + "".join("    " * n + "if x:\n" for n in range(1, 400)),
        "x = [" + "1, " * 100_000,
        "a." * 30_000,
        "from a import (" + "b, " * 30_000,
        "\u2028\u0085\x0c" * 2_000,
        "import a as" + " " * 5_000 + "b",
        "# " + "word " * 50_000,
        "'" * 9_999,
    ],
)
def test_strange_files_come_to_an_end(text: str) -> None:
    """As the open file and as another one."""
    data = text.encode()
    file = SourceFile(path="odd.py", language="python", data=data)
    index = index_of(OTHERS | {"odd.py": text})
    tree = SyntaxTree.parse(file)
    context = gather(file, tree, len(data), BUDGET)
    related = Related(index)
    related.find(file, tree, "odd.py", len(data), context, Wanted(n_tokens=300), ())
    place = Place("till.py", "from odd import b\nword = a.b(‸)\n", OTHERS | {"odd.py": text})
    found_at(place, Related(place.index), Wanted(n_tokens=300))
