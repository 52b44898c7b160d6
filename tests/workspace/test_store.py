"""The index of a workspace on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from context.types import SourceFile
from context.workspace.symbols import symbols_of
from lsp_server.errors import StoreError
from lsp_server.workspace import store
from lsp_server.workspace.store import Record


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def records(n_files: int = 1) -> list[Record]:
    """Of files that are alike."""
    data = b"class A(B):\n    def c(self): ...\n"
    symbols = symbols_of(SourceFile(path="a.py", language="python", data=data))
    return [Record(f"a{n}.py", len(data), 123, b"digest", symbols) for n in range(n_files)]


def save(path: Path, root: str = "/somewhere", n_files: int = 1) -> None:
    """An index of some files."""
    store.save(path, root, 456, records(n_files))


@pytest.mark.parametrize("n_files", [0, 1, 100])
def test_what_is_saved_is_loaded(n_files: int) -> None:
    """All of it, in pieces, from a file that only the user can read."""
    path = store.path_of(Path("/somewhere"))
    save(path, n_files=n_files)
    found = store.load(path, "/somewhere")
    assert found is not None
    assert found.stored_ns == 456
    assert [*found.records()] == records(n_files)
    assert (len(found.pieces) > 1) == (n_files > 1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_two_folders_have_two_files() -> None:
    """And one file is never taken for the other's."""
    one, two = store.path_of(Path("/a")), store.path_of(Path("/b"))
    assert one != two
    save(one, "/a")
    assert store.load(one, "/b") is None
    assert store.load(two, "/b") is None


def test_damage_is_seen() -> None:
    """A byte that changed, a file that ends early, one that is none: no index."""
    path = store.path_of(Path("/somewhere"))
    save(path)
    good = path.read_bytes()
    for number in range(0, len(good), 7):
        path.write_bytes(good[:number] + bytes([good[number] ^ 1]) + good[number + 1 :])
        assert store.load(path, "/somewhere") is None
        path.write_bytes(good[:number])
        assert store.load(path, "/somewhere") is None
    path.write_bytes(good + b"x")
    assert store.load(path, "/somewhere") is None


def test_only_some_indexes_are_kept(cache: Path) -> None:
    """Those used last."""
    for number in range(40):
        path = store.path_of(Path(f"/{number}"))
        save(path, f"/{number}")
        os.utime(path, ns=(number, number))
    left = list((cache / "index").glob("*.idx"))
    assert len(left) <= 33
    assert store.path_of(Path("/39")) in left


def test_a_folder_that_cannot_be_written_to_is_an_error(cache: Path) -> None:
    """With a reason code; nothing half-written stays."""
    cache.mkdir()
    (cache / "index").write_text("in the way")
    with pytest.raises(StoreError):
        save(store.path_of(Path("/somewhere")))
