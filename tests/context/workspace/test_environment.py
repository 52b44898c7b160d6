"""Modules of installed packages, read when an import names them."""

from __future__ import annotations

from context.workspace import environment
from context.workspace.environment import EnvironmentIndex
from context.workspace.imports import Import
from context.workspace.index import Place

FILES = {
    "shop/__init__.py": b"from ._cart import Cart as Cart\nfrom .till import *\n",
    "shop/_cart.py": b"from .base import Base\n\nclass Cart(Base):\n    def add(self, item): ...\n",
    "shop/till.py": b"def pay(amount): ...\n",
    "fast.pyi": b"def run(n: int) -> int: ...\n",
    "fast.py": b"from _fast import run\n",
}


def loaded(index: EnvironmentIndex, item: Import) -> Place | str | None:
    """What an import brings once all that is missing on the way is there."""
    for _ in range(10):
        found = index.imported(item, "")
        if not index.missing:
            return found
        for stem in list(index.missing):
            index.keep(stem, index.load(stem))
    raise AssertionError(f"still missing: {[*index.missing]}")


def test_a_module_is_missing_until_it_is_read() -> None:
    """And what it hands on is missing after that."""
    index = EnvironmentIndex(FILES.get)
    item = Import("Cart", "shop", 0, "Cart")
    assert index.imported(item, "") is None
    assert "shop" in index.missing
    place = loaded(index, item)
    assert isinstance(place, Place)
    assert place.path == "shop/_cart.py"
    assert [each.symbol.name for each in index.members(place)] == ["add"]


def test_what_is_not_installed_is_looked_for_once() -> None:
    """Nor is what a module does not have."""
    reads: list[str] = []

    def read(path: str) -> bytes | None:
        reads.append(path)
        return FILES.get(path)

    index = EnvironmentIndex(read)
    nowhere = Import("x", "nowhere.at.all", 0, "x")
    assert loaded(index, nowhere) is None
    n_reads = len(reads)
    assert index.imported(nowhere, "") is None
    assert not index.missing
    assert len(reads) == n_reads


def test_stubs_come_before_the_modules_they_describe() -> None:
    """A compiled module has nothing else."""
    place = loaded(EnvironmentIndex(FILES.get), Import("run", "fast", 0, "run"))
    assert isinstance(place, Place)
    assert place.path == "fast.pyi"


def test_a_module_exports_what_it_imports() -> None:
    """By name, and behind a star."""
    index = EnvironmentIndex(FILES.get)
    path = loaded(index, Import("shop", "shop"))
    assert path == "shop/__init__.py"
    for name, expected in (("Cart", "shop/_cart.py"), ("pay", "shop/till.py")):
        loaded(index, Import(name, "shop", 0, name))
        place = index.exported("shop/__init__.py", name)
        assert place is not None
        assert place.path == expected
    assert index.exported("shop/__init__.py", "nothing") is None


def test_the_modules_read_first_are_forgotten(monkeypatch: object) -> None:
    """Whoever imports everything does not fill the memory."""
    files = {f"m{n}.py": b"def f(): ...\n" for n in range(environment._MAX_FILES + 5)}
    index = EnvironmentIndex(files.get)
    for path in files:
        stem = path.removesuffix(".py")
        index.keep(stem, index.load(stem))
    assert len(index.files) == environment._MAX_FILES
    assert "m0.py" not in index.files
    assert loaded(index, Import("f", "m0", 0, "f")) is not None
