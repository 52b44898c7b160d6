"""All files of a workspace together."""

from __future__ import annotations

import random

from context.types import SourceFile
from context.workspace import index as index_module
from context.workspace.imports import Import
from context.workspace.index import Place, WorkspaceIndex
from context.workspace.symbols import FileSymbols, Symbol, symbols_of

FILES = {
    "src/shop/__init__.py": "from .cart import Cart, helper\nfrom .money import *\n",
    "src/shop/cart.py": (
        "from shop.money import Price\n\n\nclass Cart:\n    def total(self): ...\n\n\n"
        "def helper(): ...\n"
    ),
    "src/shop/money.py": "class Price:\n    amount: int = 0\n\n\ndef rounded(x): ...\n",
    "src/shop/deep/__init__.py": "",
    "src/shop/deep/inner.py": "from ..cart import Cart\nfrom . import leaf\n",
    "src/shop/deep/leaf.py": "LEAF = 1\n",
    "tests/test_cart.py": "from shop import Cart\nimport shop.money as money\n",
}


def index_of(files: dict[str, str]) -> WorkspaceIndex:
    """An index over texts."""
    texts = {path: text.encode() for path, text in files.items()}
    index = WorkspaceIndex("shop", texts.get)
    for path, data in texts.items():
        index.put(path, symbols_of(SourceFile(path=path, language="python", data=data)))
    return index


def name_of(found: Place | str | None) -> str:
    """File and name of what an import brings."""
    if isinstance(found, Place):
        return f"{found.path}:{found.symbol.name}"
    return found or ""


def test_names_lead_to_their_definitions() -> None:
    """All places of a name, members too."""
    index = index_of(FILES)
    assert [p.path for p in index.defined("Cart")] == ["src/shop/cart.py"]
    assert [p.symbol.container for p in index.defined("total")] == ["Cart"]
    assert [m.symbol.name for m in index.members(index.defined("Price")[0])] == ["amount"]
    assert not index.defined("nothing")


def test_imports_are_followed() -> None:
    """Absolute from below a source folder, relative, through re-exports and stars, submodules."""
    index = index_of(FILES)
    cases = [
        (Import("Cart", "shop", 0, "Cart"), "tests/test_cart.py", "src/shop/cart.py:Cart"),
        (
            Import("rounded", "shop", 0, "rounded"),
            "tests/test_cart.py",
            "src/shop/money.py:rounded",
        ),
        (Import("m", "shop.money"), "tests/test_cart.py", "src/shop/money.py"),
        (Import("Cart", "cart", 2, "Cart"), "src/shop/deep/inner.py", "src/shop/cart.py:Cart"),
        (Import("leaf", "", 1, "leaf"), "src/shop/deep/inner.py", "src/shop/deep/leaf.py"),
        (Import("money", "shop", 0, "money"), "tests/test_cart.py", "src/shop/money.py"),
        (Import("json", "json"), "tests/test_cart.py", ""),
        (Import("x", "shop", 0, "nothing"), "tests/test_cart.py", ""),
        (Import("x", "a", 9, "b"), "tests/test_cart.py", ""),
    ]
    for item, path, expected in cases:
        assert name_of(index.imported(item, path)) == expected, item


def test_imports_in_a_circle_end() -> None:
    """Two modules that import a name from each other define it nowhere."""
    index = index_of({"a.py": "from b import x\n", "b.py": "from a import x\n"})
    assert index.imported(Import("x", "a", 0, "x"), "c.py") is None


def test_a_new_text_takes_the_place_of_the_old_one() -> None:
    """Names that are gone are not found any more."""
    index = index_of(FILES)
    data = b"class Basket: ...\n"
    index.put(
        "src/shop/cart.py",
        symbols_of(SourceFile(path="src/shop/cart.py", language="python", data=data)),
    )
    assert not index.defined("Cart")
    assert [p.path for p in index.defined("Basket")] == ["src/shop/cart.py"]
    index.drop("src/shop/cart.py")
    index.drop("src/shop/cart.py")
    assert not index.defined("Basket")


def test_files_are_found_by_rare_words() -> None:
    """A word of every file counts little, one of a single file much."""
    files = {f"f{n}.py": f"common = {n}\nword_{n} = common\n" for n in range(20)}
    index = index_of(files)
    assert index.rarity("word_3") > index.rarity("common")
    assert index.about({"common": 1.0, "word_3": 1.0}, 5)[0] == "f3.py"
    assert index.with_word("word_7", 5) == ["f7.py"]
    assert index.n_with_word("common") == 20


def test_any_order_of_changes_gives_the_same_index() -> None:
    """Puts and drops by chance end where a fresh index starts, numbers made anew or not."""
    chance = random.Random(5)
    texts = [f"class C{n}: ...\nshared_{n % 3} = alpha_{n}\n" for n in range(12)]
    index = index_of({})
    now: dict[str, str] = {}
    for _ in range(1500):
        path = f"p{chance.randrange(8)}.py"
        if chance.random() < 0.3:
            index.drop(path)
            now.pop(path, None)
        else:
            now[path] = chance.choice(texts)
            data = now[path].encode()
            index.put(path, symbols_of(SourceFile(path=path, language="python", data=data)))
    fresh = index_of(now)
    assert index.files == fresh.files
    for n in range(12):
        assert {p.path for p in index.defined(f"C{n}")} == {p.path for p in fresh.defined(f"C{n}")}
        words = f"alpha_{n}"
        assert set(index.with_word(words, 99)) == set(fresh.with_word(words, 99))


def test_a_question_to_a_hundred_thousand_files_looks_at_few_entries() -> None:
    """Words of all files say nothing; of those of many the rarest are asked about."""
    index = WorkspaceIndex("all", lambda _path: None)
    for n in range(100_000):
        words = ("shared", *(f"group_{n % size}" for size in range(40, 60)), f"own_{n}")
        symbol = Symbol(f"make_{n % 50_000}", "function", "", f"def make_{n}(): ...", 0, 20)
        symbols = FileSymbols("python", (symbol,), (), words, 20)
        index.put(f"d{n % 900}/m{n}.py", symbols)
    asked = dict.fromkeys(["shared", *(f"group_{n}" for n in range(60)), "own_7"], 1.0)
    assert index.about(asked, 3)[0] == "d7/m7.py"
    telling = index._telling(asked)
    assert "own_7" in telling
    assert 1 < len(telling) < len(asked) - 1
    assert sum(map(index.n_with_word, telling)) <= index_module._MAX_POSTINGS
    assert [place.path for place in index.defined("make_7")] == ["d7/m7.py", "d507/m50007.py"]
    item = Import("make_7", "m7", 0, "make_7")
    assert name_of(index.imported(item, "d7/m8.py")) == "d7/m7.py:make_7"


def test_a_source_folder_is_known_with_its_first_file() -> None:
    """Imports from below it are found at once, and no more once it is gone."""
    index = index_of(FILES)
    item = Import("Card", "bank", 0, "Card")
    assert index.imported(item, "tests/test_cart.py") is None
    data = b"class Card: ...\n"
    symbols = symbols_of(SourceFile(path="bank.py", language="python", data=data))
    index.put("services/pay/bank.py", symbols)
    assert name_of(index.imported(item, "tests/test_cart.py")) == "services/pay/bank.py:Card"
    index.drop("services/pay/bank.py")
    assert index.imported(item, "tests/test_cart.py") is None
