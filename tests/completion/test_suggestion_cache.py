"""Suggestions on disk: what is found again, and what becomes of a disk that is full or damaged."""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import diskcache
import pytest

from lsp_server.completion import suggestion_cache
from lsp_server.completion.suggestion_cache import MsgpackDisk, Saved, SuggestionCache, key_of
from lsp_server.errors import StoreError
from lsp_server.types import TokenChunk

MIB = 2**20
SAVED = Saved(
    chunks=(
        TokenChunk(request_id=0, text="fäö(", logprobs=(-0.5, -0.25)),
        TokenChunk(request_id=0, text="", finish_reason="stop"),
    )
)
Make = Callable[..., SuggestionCache]


class Warnings(list[StoreError]):
    """What was warned of; ``came`` is set with the first."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    def __call__(self, error: StoreError) -> None:
        """Take note."""
        self.append(error)
        self.came.set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where suggestions lie."""
    return tmp_path / "cache" / "suggestions"


@pytest.fixture
def warnings() -> Warnings:
    """What the user is told."""
    return Warnings()


@pytest.fixture
async def make(
    folder: Path, warnings: Warnings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Make]:
    """Makes caches that are closed at the end, with time to read on a busy machine."""
    monkeypatch.setattr(suggestion_cache, "_READ_S", 30.0)
    caches: list[SuggestionCache] = []

    def made(max_bytes: int = 16 * MIB) -> SuggestionCache:
        caches.append(SuggestionCache(max_bytes, folder, on_warning=warnings))
        return caches[-1]

    yield made
    for cache in caches:
        await cache.aclose()


async def fill(make: Make, n: int = 1) -> None:
    """Store some suggestions and close the file."""
    cache = make()
    for number in range(n):
        cache.put(f"k{number}", SAVED)
    await cache.aclose()


def set_aside(folder: Path) -> list[Path]:
    """Folders that were set aside."""
    return [*folder.parent.glob("suggestions.damaged-*")]


async def test_what_was_stored_is_found_after_a_restart(make: Make) -> None:
    """With every token's evidence; nothing is found under another key."""
    await fill(make)
    cache = make()
    assert await cache.get("k0") == SAVED
    assert await cache.get("k1") is None


async def test_the_folder_is_private(make: Make, folder: Path) -> None:
    """Folder 0700, files 0600, those that SQLite makes beside the database too."""
    os.umask(0o022)
    cache = make()
    cache.put("k", SAVED)
    assert await cache.get("k") == SAVED
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert "cache.db-wal" in modes


async def test_off_stores_and_finds_nothing(make: Make, folder: Path) -> None:
    """Not even a folder is made; lowered to nothing later, what is there is not read."""
    cache = make(0)
    cache.put("k", SAVED)
    assert await cache.get("k") is None
    assert not folder.exists()
    await fill(make)
    lowered = make()
    assert await lowered.get("k0") == SAVED
    lowered.limit(0)
    assert await lowered.get("k0") is None


async def test_its_size_is_bounded(make: Make, folder: Path) -> None:
    """The oldest go first; what is too large is not stored at all."""
    cache = make(MIB)
    text = "x" * 20_000
    for number in range(200):
        cache.put(f"k{number}", Saved(chunks=(TokenChunk(request_id=0, text=text),)))
    huge = Saved(chunks=(TokenChunk(request_id=0, text="x" * 100_000),))
    cache.put("huge", huge)
    assert await cache.get("huge") is None
    assert await cache.get("k0") is None
    assert await cache.get("k199") is not None
    await cache.aclose()
    assert (folder / "cache.db").stat().st_size < 2 * MIB


class _Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._path,))


@pytest.mark.parametrize("where", ["value", "file", "text", "msgpack"])
async def test_a_planted_pickle_is_refused(
    make: Make, folder: Path, tmp_path: Path, where: str, warnings: Warnings
) -> None:
    """Nothing is run, the folder is set aside, and a new one is begun."""
    await fill(make)
    bomb = tmp_path / "bomb"
    data = pickle.dumps(_Bomb(bomb))
    pickle.load(io.BytesIO(data))  # noqa: S301
    assert bomb.exists(), "the bomb works"
    bomb.unlink()
    with sqlite3.connect(folder / "cache.db") as planted:
        match where:
            case "value":
                planted.execute("UPDATE Cache SET mode = 4, value = ?", (data,))
            case "file":
                (folder / "x.val").write_bytes(data)
                planted.execute("UPDATE Cache SET mode = 4, value = NULL, filename = 'x.val'")
            case "text":
                planted.execute("UPDATE Cache SET value = 'text'")
            case _:
                planted.execute("UPDATE Cache SET value = ?", (data,))
    planted.close()
    cache = make()
    assert await cache.get("k0") is None
    assert not bomb.exists()
    assert len(set_aside(folder)) == 1
    cache.put("new", SAVED)
    assert await cache.get("new") == SAVED
    assert warnings == []


async def test_a_planted_key_is_never_looked_at(make: Make, folder: Path, tmp_path: Path) -> None:
    """Only strings are looked for, and none of them is a pickle."""
    await fill(make)
    bomb = tmp_path / "bomb"
    with sqlite3.connect(folder / "cache.db") as planted:
        planted.execute("UPDATE Cache SET raw = 0, key = ?", (pickle.dumps(_Bomb(bomb)),))
    planted.close()
    assert await make().get("k0") is None
    assert suggestion_cache.clear(folder) == 1
    assert not bomb.exists()


def test_the_disk_never_pickles(folder: Path) -> None:
    """Other keys and values than its own are refused both ways."""
    disk = MsgpackDisk(str(folder))
    for key in (1, b"k", ("a",), None):
        with pytest.raises(TypeError):
            disk.put(key)
    with pytest.raises(TypeError):
        disk.store(object(), read=False)
    with pytest.raises(TypeError):
        disk.store(io.BytesIO(), read=True)
    data = pickle.dumps("x")
    for mode in (2, 3, 4, 9, None):
        with pytest.raises(suggestion_cache._ForeignError):
            disk.fetch(mode, None, data, read=False)
    with pytest.raises(suggestion_cache._ForeignError):
        disk.get(data, raw=False)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "header": lambda data: b"not a database at all" + data[21:],
    "cut off": lambda data: data[:5000],
    "middle": lambda data: data[:4096] + os.urandom(len(data) - 4096),
    "text": lambda _data: b"hello",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_file_is_set_aside(
    make: Make, folder: Path, damage: Callable[[bytes], bytes], warnings: Warnings
) -> None:
    """A new one is begun once; what is damaged a second time is left alone."""
    await fill(make, 50)
    path = folder / "cache.db"
    path.write_bytes(damage(path.read_bytes()))
    cache = make()
    for number in range(50):
        assert await cache.get(f"k{number}") in (None, SAVED)
    cache.put("new", SAVED)
    assert await cache.get("new") == SAVED
    assert len(set_aside(folder)) == 1
    cache._run(cache._begin_anew, None)
    assert await cache.get("new") is None
    assert not cache.is_on
    assert warnings == []


async def test_only_the_last_damaged_folder_is_kept(make: Make, folder: Path) -> None:
    """They would pile up."""
    for _ in range(3):
        await fill(make)
        (folder / "cache.db").write_bytes(b"hello")
        assert await make().get("k0") is None
    assert len(set_aside(folder)) == 1


async def test_a_planted_table_of_settings_is_damage(make: Make, folder: Path) -> None:
    """Options that diskcache would hand on to our disk are not taken."""
    await fill(make)
    with sqlite3.connect(folder / "cache.db") as planted:
        planted.execute("INSERT INTO Settings VALUES ('disk_evil', 1)")
    planted.close()
    cache = make()
    assert await cache.get("k0") is None
    assert len(set_aside(folder)) == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [(sqlite3.SQLITE_FULL, "disk is full"), (sqlite3.SQLITE_READONLY, "readonly database")],
)
async def test_a_full_disk_is_told_once(
    make: Make, monkeypatch: pytest.MonkeyPatch, warnings: Warnings, code: int, reason: str
) -> None:
    """And the cache is off; whoever asks gets nothing, and no error."""

    def fail(*_arguments: object, **_options: object) -> None:
        error = sqlite3.OperationalError(reason)
        error.sqlite_errorcode = code
        raise error

    cache = make()
    monkeypatch.setattr(diskcache.Cache, "set", fail)
    for _ in range(3):
        cache.put("k", SAVED)
    async with asyncio.timeout(30):
        await warnings.came.wait()
    assert await cache.get("k") is None
    assert not cache.is_on
    assert [error.code for error in warnings] == ["suggestion_cache_off"]
    assert reason in str(warnings[0])


async def test_a_place_for_no_folder_is_told_once(
    make: Make, folder: Path, warnings: Warnings
) -> None:
    """As a home that may not be written to."""
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.write_text("a file where the folder should be")
    cache = make()
    cache.put("k", SAVED)
    assert await cache.get("k") is None
    async with asyncio.timeout(30):
        await warnings.came.wait()
    assert await cache.get("k") is None
    assert len(warnings) == 1


async def test_a_slow_disk_is_not_waited_for(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks goes on without it."""
    may_go_on = asyncio.Event()
    loop = asyncio.get_running_loop()
    cache = make()

    def wait() -> None:
        asyncio.run_coroutine_threadsafe(may_go_on.wait(), loop).result(30)

    monkeypatch.setattr(suggestion_cache, "_READ_S", 0.01)
    cache._run(wait, None)
    assert await cache.get("k") is None
    may_go_on.set()


async def test_clearing_leaves_nothing_to_read(make: Make, folder: Path) -> None:
    """Neither in the file nor in what was set aside; a server that runs goes on with it."""
    text = "unmistakable_text"
    cache = make()
    cache.put("k", Saved(chunks=(TokenChunk(request_id=0, text=text),)))
    assert await cache.get("k") is not None
    aside = folder.with_name("suggestions.damaged-1")
    aside.mkdir()
    (aside / "cache.db").write_text(text)
    assert suggestion_cache.clear(folder) == 1
    assert not aside.exists()
    assert all(text.encode() not in file.read_bytes() for file in folder.iterdir())
    assert await cache.get("k") is None
    cache.put("k", SAVED)
    assert await cache.get("k") == SAVED


def test_clearing_a_damaged_or_missing_folder(folder: Path) -> None:
    """Takes it away."""
    assert suggestion_cache.clear(folder) == 0
    folder.mkdir(parents=True)
    (folder / "cache.db").write_bytes(b"hello")
    assert suggestion_cache.clear(folder) == 0
    assert not folder.exists()


def test_keys_tell_all_parts_apart() -> None:
    """Where one part ends and the next begins matters as well."""
    keys = {
        key_of("a", "bc"),
        key_of("ab", "c"),
        key_of("abc"),
        key_of("a", "bc", 0),
        key_of(b"abc"),
    }
    assert len(keys) == 5
    assert key_of({"a": 1, "b": (2,)}) == key_of({"b": [2], "a": 1})
