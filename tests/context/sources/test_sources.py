"""What each source finds in other files."""

from __future__ import annotations

import pytest

from context.sources import (
    definitions,
    hierarchy,
    pinned,
    recent,
    siblings,
    undefined,
    usages,
)
from context.sources.recent import Visit
from context.sources.similar import SimilarWindows, Windows
from tests.context.sources.places import Place, index_of

CART = '''"""Carts."""

from shop.money import Price


class Base:
    """Of all carts."""

    def total(self, tax: float) -> Price:
        """Sum."""
        amount = sum(line.price for line in self.lines)
        return Price(amount * (1 + tax))

    def clear(self) -> None:
        self.lines = []


class Cart(Base):
    def __init__(self, owner: str) -> None:
        self.owner = owner

    def _hidden(self) -> None: ...

    def add_line(self, name: str, price: Price) -> None:
        """Add a line."""


def empty_cart(owner: str) -> Cart:
    """A cart with nothing in it."""
    return Cart(owner)
'''
MONEY = """class Price:
    amount: float

    def rounded_up(self, digits: int = 2) -> "Price": ...


RATES = {"EUR": 1.0}
"""
OTHERS = {"shop/__init__.py": "", "shop/cart.py": CART, "shop/money.py": MONEY}


def texts(found: list[object]) -> str:
    """All snippets' texts."""
    return "\n--\n".join(f"{s.path}: {s.text}" for s in found)  # type: ignore[attr-defined]


def test_imported_names_are_shown_by_their_signatures() -> None:
    """A function with its docstring; a class with its members; the nearest first."""
    text = "from shop.cart import Cart, empty_cart\n\n\ncart = empty_cart(‸)\n"
    place = Place("till.py", text, OTHERS)
    found = definitions.find(place.view, place.index)
    assert found[0].text == (
        'def empty_cart(owner: str) -> Cart:\n    """A cart with nothing in it."""\n    ...'
    )
    assert "def add_line(self, name: str, price: Price) -> None:" in found[1].text
    assert "amount * (1 + tax)" not in texts([*found])


def test_attributes_of_modules_are_shown() -> None:
    """What is asked of an imported module, and nothing else of it."""
    place = Place("till.py", "import shop.money as money\n\nrate = money.RATES[‸\n", OTHERS)
    found = definitions.find(place.view, place.index)
    assert [s.text for s in found] == ['RATES = {"EUR": 1.0}']


def test_methods_are_found_by_name() -> None:
    """Of an object whose type nobody says, with the class they belong to."""
    place = Place("till.py", "def close(bill):\n    return bill.rounded_up(‸)\n", OTHERS)
    found = definitions.find(place.view, place.index)
    assert found[0].text.startswith("class Price:\n    def rounded_up(self, digits")


def test_names_of_many_things_are_not_looked_up() -> None:
    """What a dozen files define says nothing here."""
    others = {f"m{n}.py": "def handle_it(): ...\n" for n in range(12)}
    place = Place("a.py", "handle_it(‸)\n", others)
    assert definitions.find(place.view, place.index) == []


PACKAGES = {
    "web/__init__.py": "from .app import App as App\n",
    "web/app.py": "class App:\n    def route(self, path: str) -> None: ...\n",
    "shop/__init__.py": "def stolen(): ...\n",
}


@pytest.mark.parametrize(
    "marked",
    ["from web import App\n\napp = App()\napp.route(‸\n", "import web\n\napp = web.App(‸\n"],
)
def test_imported_names_are_found_in_packages(marked: str) -> None:
    """Where the workspace does not have them, through what a package hands on."""
    place = Place("till.py", marked, {})
    packages = index_of(PACKAGES)
    (found,) = definitions.find(place.view, place.index, packages)
    assert (found.path, found.origin) == ("web/app.py", "package")
    assert "def route(self, path: str) -> None" in found.text
    assert definitions.find(place.view, place.index) == []


def test_the_workspaces_own_modules_hide_packages() -> None:
    """As they do for the interpreter; relative imports never lead out of it."""
    own = {"shop/__init__.py": "def mine(): ...\n"}
    for line in ("from shop import mine, stolen", "from .shop import stolen"):
        place = Place("till.py", f"{line}\n\nmine(stolen(‸\n", own)
        found = definitions.find(place.view, place.index, index_of(PACKAGES))
        assert {snippet.origin for snippet in found} <= {"definition"}


def test_the_open_file_is_never_its_own_source() -> None:
    """Its text is in the prompt already."""
    place = Place("shop/cart.py", CART.replace("self.lines = []", "empty_cart(‸)"), {})
    assert definitions.find(place.view, place.index) == []


def test_the_base_method_is_shown_whole() -> None:
    """Whoever writes a method anew sees what the base class does, then its outline."""
    text = (
        "from shop.cart import Base\n\n\nclass Gift(Base):\n    def total(self, tax):\n        ‸\n"
    )
    place = Place("gift.py", text, OTHERS)
    found = hierarchy.find(place.view, place.index, place.file.data)
    assert found[0].text.startswith("class Base:\n    def total(self, tax: float) -> Price:")
    assert "amount * (1 + tax)" in found[0].text
    assert "def clear(self) -> None: ..." in found[1].text


def test_bases_of_bases_are_found() -> None:
    """Over files, and without end where classes go in a circle."""
    others = OTHERS | {"odd.py": "from gift import Gift\nclass Odd(Gift): ...\n"}
    text = "import shop.cart\nfrom odd import Odd\n\nclass Gift(shop.cart.Cart, Odd):\n    x = ‸\n"
    place = Place("gift.py", text, others)
    found = hierarchy.find(place.view, place.index, place.file.data)
    assert [(s.path, s.text.split("(")[0].split(":")[0]) for s in found] == [
        ("shop/cart.py", "class Cart"),
        ("odd.py", "class Odd"),
        ("shop/cart.py", "class Base"),
    ]


def test_calls_elsewhere_are_shown_with_their_lines() -> None:
    """A call and the lines around it; a definition is no call."""
    others = OTHERS | {
        "tests/use.py": "import x\n\ncart = make()\nbill = empty_cart(\n    'me',\n)\nend()\n"
    }
    text = "from shop.cart import empty_cart\n\nmine = empty_cart(‸)\n"
    place = Place("till.py", text, others)
    found = usages.find(place.view, place.index)
    assert [(s.path, s.text) for s in found] == [
        ("tests/use.py", "cart = make()\nbill = empty_cart(\n    'me',\n)")
    ]


def test_usages_of_very_short_names_are_not_looked_up() -> None:
    """They say little, and a long file is full of their letters."""
    others = {"use.py": "bill = f('me')\ntill = fit('me')\n"}
    place = Place("a.py", "from use import f, fit\n\nf = fit\n‸\n", others)
    assert [s.text for s in usages.find(place.view, place.index)] == [
        "bill = f('me')\ntill = fit('me')"
    ]
    place = Place("a.py", "from use import f\n\nf\n‸\n", others)
    assert usages.find(place.view, place.index) == []


@pytest.mark.parametrize("letters", ["x" * 300_000, "x." * 150_000, "x(" * 150_000, "é" * 90_000])
def test_a_line_without_end_is_gone_through_once(letters: str) -> None:
    """What the file calls is found beside a table of a few hundred thousand letters."""
    text = f"BLOB = '{letters}'\n\n\ndef one():\n    return make_it(1)\n" + "#\n" * 2_000
    place = Place("a.py", text + "\n\nmake_it(‸\n", {})
    found = usages.find(place.view, place.index)
    assert ["return make_it(1)" in snippet.text for snippet in found] == [True]


def test_similar_lines_are_shown_with_what_follows() -> None:
    """Where much the same was written before, and how it went on."""
    filler = "".join(f"other_{n} = {n}\n" for n in range(40))
    body = (
        "def read_user(connection, user_id):\n"
        "    row = connection.fetch_one(USER_QUERY, user_id)\n"
        "    if row is None:\n"
        "        raise NotFoundError(user_id)\n"
        "    return User.from_row(row)\n"
    )
    text = (
        "def read_order(connection, order_id):\n"
        "    row = connection.fetch_one(ORDER_QUERY, order_id)\n    ‸\n"
    )
    others = {"users.py": filler + body + filler, "noise.py": filler, "more.py": "x = 1\n" * 50}
    place = Place("orders.py", text, others)
    found = SimilarWindows().find(place.view, place.index)
    assert found[0].path == "users.py"
    assert "raise NotFoundError(user_id)" in found[0].text
    data = (filler + body + filler).encode()
    shown = data[found[0].start_byte : found[0].end_byte].decode()
    assert shown.strip("\n") == found[0].text


def test_a_test_sees_what_it_tests() -> None:
    """And the other way round; by the files' names."""
    text = "def test_empty():\n    cart = ‸\n"
    others = OTHERS | {"other/cart.py": "class Wrong: ...\n"}
    place = Place("shop/tests/test_cart.py", text, others)
    found = siblings.find(place.view, place.index)
    assert {s.path for s in found} == {"shop/cart.py"}
    assert "def empty_cart(owner: str) -> Cart:" in texts([*found])
    back = Place(
        "shop/cart.py",
        CART.replace("self.lines = []", "‸"),
        {"tests/test_cart.py": text[:-1].replace("‸", "")},
    )
    assert [s.path for s in siblings.find(back.view, back.index)] == ["tests/test_cart.py"]


def test_recent_places_newest_first() -> None:
    """Edits count more than looks; the open file is left out."""
    place = Place("till.py", "x = ‸\n", OTHERS)
    visits = [
        Visit(path="till.py", first_line=0, last_line=0, edited=True),
        Visit(path="shop/money.py", first_line=3, last_line=3, edited=True),
        Visit(path="shop/cart.py", first_line=20, last_line=24, edited=False),
        Visit(path="gone.py", first_line=1, last_line=1, edited=True),
    ]
    found = recent.find(place.view, place.index, visits)
    assert [(s.path, s.origin) for s in found] == [
        ("shop/money.py", "recent_edit"),
        ("shop/cart.py", "recent_look"),
    ]
    assert found[0].score > found[1].score
    assert "def rounded_up" in found[0].text
    assert CART.encode()[found[1].start_byte : found[1].end_byte].decode().strip("\n") in (
        found[1].text
    )


def test_pinned_files_are_shown_from_their_beginning() -> None:
    """At most some kilobytes, cut at a line; one that is not there is passed over."""
    long = "".join(f"line_{n} = {n}\n" for n in range(2000))
    place = Place("till.py", "x = ‸\n", OTHERS | {"notes.py": long})
    found = pinned.find(place.view, place.index, ("shop/money.py", "no.py", "notes.py"))
    assert [s.path for s in found] == ["shop/money.py", "notes.py"]
    assert found[0].text == MONEY.strip("\n")
    assert long.startswith(found[1].text)
    assert found[1].text.endswith(f"= {found[1].text.count(chr(10))}")


def test_a_large_file_waits_until_it_is_cut_up() -> None:
    """Where nobody may wait for that, its places are found at a later request."""
    body = "def read_user(connection, user_id):\n    return connection.fetch_one(QUERY, user_id)\n"
    text = "def read_order(connection, order_id):\n    return connection.fetch_one(‸"
    place = Place("orders.py", text, {"users.py": body * 3})
    similar = SimilarWindows(at_once=False)
    assert similar.find(place.view, place.index) == []
    assert [*similar.missing] == ["orders.py", "users.py"]
    for path, data in [*similar.missing.items()]:
        similar.keep(path, data, Windows(data))
    assert [s.path for s in similar.find(place.view, place.index)] == ["users.py"]
    assert not similar.missing


def test_a_word_that_is_being_typed_changes_nothing() -> None:
    """Similar places are those of whole words."""
    body = "def read_user(connection, user_id):\n    return connection.fetch_one(QUERY, user_id)\n"
    start = "def read_order(connection, order_id):\n    return connection."
    similar = SimilarWindows()
    found = []
    for typed in ("", "f", "fe", "fetc"):
        place = Place("orders.py", f"{start}{typed}‸", {"users.py": body * 3})
        found.append(similar.find(place.view, place.index))
    assert all(each is found[0] for each in found)


def test_other_places_of_the_open_file_are_shown() -> None:
    """What the prompt does not hold of it: alike lines, definitions, calls."""
    body = (
        "def read_user(connection, user_id):\n"
        "    row = connection.fetch_one(USER_QUERY, user_id)\n"
        "    if row is None:\n"
        "        raise NotFoundError(user_id)\n"
    )
    filler = "".join(f"def other_{n}(argument_{n}):\n    return {n}\n" for n in range(300))
    rare = (
        "def checked(row, *, strictly):\n    return row\n\n\nbill = checked(row, strictly=True)\n"
    )
    text = (
        f"{body}\n{rare}\n{filler}"
        "def read_order(connection, order_id):\n"
        "    row = connection.fetch_one(ORDER_QUERY, order_id)\n    return checked(‸"
    )
    place = Place("shop.py", text, {})
    similar = SimilarWindows().find(place.view, place.index)
    assert "raise NotFoundError(user_id)" in similar[0].text
    assert definitions.find(place.view, place.index)[0].text == (
        "def checked(row, *, strictly): ..."
    )
    assert "bill = checked(row, strictly=True)" in usages.find(place.view, place.index)[0].text
    assert all(not place.view.shows(s.start_byte, s.end_byte) for s in similar)


TYPED = """import os
from typing import *

LIMIT = 3


class Till:
    size: int

    def close(self, drawer):
        self.total = drawer.sum()
        count(self.total, LIMIT)
        for item in drawer:
            item.pack()
        return self.rounded(self.total, digits=2)

    ‸


def main(report):
    till = Till()
    report(print_bill(till.close([]), os.getcwd()))
"""


def test_names_that_nobody_defines_are_shown_by_their_use() -> None:
    """A method of this class, a function of this file; not what comes from a parameter."""
    place = Place("till.py", TYPED, {"lib.py": "def count(a, b): ...\n"})
    found = undefined.find(place.view, place.index)
    assert [s.text.split("\n")[1].strip() for s in found] == [
        "return self.rounded(self.total, digits=2)",
        "report(print_bill(till.close([]), os.getcwd()))",
    ]


@pytest.mark.parametrize(
    ("typed", "n_found"),
    [("def ro‸", 2), ("async def ‸", 2), ("x = ‸", 0), ("self.‸", 0), ("@cached‸", 2)],
)
def test_they_are_shown_where_a_definition_may_begin(typed: str, n_found: int) -> None:
    """Anywhere else they are of no use."""
    place = Place("till.py", TYPED.replace("‸", typed), {"lib.py": "def count(a, b): ...\n"})
    assert len(undefined.find(place.view, place.index)) == n_found


def test_inside_a_body_nothing_is_about_to_be_defined() -> None:
    """A blank line of a function is for a statement."""
    text = TYPED.replace("    ‸\n", "").replace("self.total = drawer.sum()", "‸")
    place = Place("till.py", text, {})
    assert undefined.find(place.view, place.index) == []
