"""The database file: privacy, damage, sharing, reading and clearing."""

from __future__ import annotations

import sqlite3
import stat
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lsp_server.acceptance import store as store_module
from lsp_server.acceptance.events import Event, to_row
from lsp_server.acceptance.migrations import MIGRATIONS
from lsp_server.acceptance.store import DATABASE, EventStore, clear_events, read_events
from lsp_server.errors import StoreError
from tests.acceptance import makers


def rows(*events: Event, writer: str = "w", first: int = 1) -> list[tuple[Any, ...]]:
    """The events as rows of one writer."""
    return [(writer, first + n, *to_row(event)) for n, event in enumerate(events)]


def filled(folder: Path, n: int = 300) -> Path:
    """A closed database of ``n`` events; returns its path."""
    store = EventStore(folder)
    store.write(rows(*(makers.shown(f"c{i}", ts=1000.0 + i) for i in range(n))))
    store.close()
    return store.path


def test_written_events_are_read_back_in_order(tmp_path: Path) -> None:
    """What was written is read oldest first, whatever order it was written in."""
    store = EventStore(tmp_path)
    store.write(rows(makers.shown("late", ts=9.0), makers.shown("early", ts=3.0)))
    assert [event.completion_id for event in read_events(tmp_path)] == ["early", "late"]
    assert [event.completion_id for event in read_events(tmp_path, 5.0)] == ["late"]
    store.close()


def test_writing_a_row_again_changes_nothing(tmp_path: Path) -> None:
    """A retry after a commit of unknown outcome does not count an event twice."""
    store = EventStore(tmp_path)
    store.write(rows(makers.shown("a")))
    store.write(rows(makers.shown("a"), makers.shown("b")))
    store.close()
    assert len(list(read_events(tmp_path))) == 2


def test_files_are_private(tmp_path: Path) -> None:
    """Folder 0700, database and its companions 0600, even where they were open before."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    (folder / DATABASE).touch(mode=0o644)
    store = EventStore(folder)
    store.write(rows(makers.shown("a")))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert f"{DATABASE}-wal" in modes
    store.close()


def test_migrations_are_recorded_once(tmp_path: Path) -> None:
    """Every migration is applied once and noted, however often the log is opened."""
    for _ in range(3):
        path = filled(tmp_path, 1)
    applied = sqlite3.connect(path).execute("SELECT number, name FROM migrations").fetchall()
    assert applied == [(number, name) for number, name, _ in MIGRATIONS]


def spoil_header(path: Path) -> None:
    """Overwrite the file's beginning."""
    with path.open("r+b") as file:
        file.write(b"this is no database at all".ljust(200, b"!"))


def spoil_middle(path: Path) -> None:
    """Overwrite a page in the middle."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xa5" * 4096)


def cut_off(path: Path) -> None:
    """Cut the file in two."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


@pytest.mark.parametrize("spoil", [spoil_header, spoil_middle, cut_off])
def test_damaged_database_is_set_aside(tmp_path: Path, spoil: Any) -> None:
    """A damaged database is kept under another name, and a new one takes the next events."""
    path = filled(tmp_path)
    spoil(path)
    spoiled = path.read_bytes()
    store = EventStore(tmp_path)
    store.write(rows(makers.shown("new"), writer="w2"))
    assert [event.completion_id for event in read_events(tmp_path)] == ["new"]
    [aside] = store.set_aside
    assert aside.name.startswith(f"{DATABASE}.damaged-")
    assert aside.read_bytes() == spoiled
    store.close()


def spoil_and_checkpoint(path: Path) -> None:
    """Spoil an open database such that no connection has a sound copy in its WAL file."""
    other = sqlite3.connect(path)
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    spoil_header(path)


def test_damage_while_open_is_noticed(tmp_path: Path) -> None:
    """Damage that happens to an open database does not lose what is written afterwards."""
    path = filled(tmp_path)
    store = EventStore(tmp_path)
    store.write(rows(makers.shown("before"), writer="w2"))
    spoil_and_checkpoint(path)
    store.write(rows(makers.shown("after"), writer="w2", first=2))
    assert [event.completion_id for event in read_events(tmp_path)] == ["after"]
    assert len(store.set_aside) == 1
    store.close()


def test_replaced_file_is_noticed(tmp_path: Path) -> None:
    """When another process sets the file aside, later events go to the new file."""
    store = EventStore(tmp_path)
    store.write(rows(makers.shown("old")))
    store.path.rename(tmp_path / "elsewhere")
    store.write(rows(makers.shown("new"), first=2))
    assert [event.completion_id for event in read_events(tmp_path)] == ["new"]
    store.close()


def test_file_replaced_during_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events committed to a file that was set aside meanwhile are written to the new one too."""
    store = EventStore(tmp_path)
    store.write(rows(makers.shown("old")))
    real_open = EventStore._open_for_writing

    def open_then_lose(self: EventStore) -> sqlite3.Connection:
        connection = real_open(self)
        if not (tmp_path / "elsewhere").exists():
            self.path.rename(tmp_path / "elsewhere")
        return connection

    monkeypatch.setattr(EventStore, "_open_for_writing", open_then_lose)
    store.write(rows(makers.shown("new"), first=2))
    store.close()
    assert [event.completion_id for event in read_events(tmp_path)] == ["new"]


def test_two_stores_damaged_at_once(tmp_path: Path) -> None:
    """Of two writers that meet the damage, the second keeps the first one's new database."""
    path = filled(tmp_path)
    first, second = EventStore(tmp_path), EventStore(tmp_path)
    first.write(rows(makers.shown("x"), writer="f"))
    second.write(rows(makers.shown("x"), writer="s"))
    spoil_and_checkpoint(path)
    first.write(rows(makers.shown("from first"), writer="f", first=2))
    second.write(rows(makers.shown("from second"), writer="s", first=2))
    first.close()
    second.close()
    ids = {event.completion_id for event in read_events(tmp_path)}
    assert ids == {"from first", "from second"}
    assert (len(first.set_aside), len(second.set_aside)) == (1, 0)


def test_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When SQLite finds no space the error says so, and nothing is half stored."""
    filled(tmp_path, 3)
    real_connect = store_module.connect

    def cramped(uri: str) -> sqlite3.Connection:
        connection = real_connect(uri)
        connection.execute("PRAGMA max_page_count = 1")  # raised to the present size by SQLite
        return connection

    monkeypatch.setattr(store_module, "connect", cramped)
    store = EventStore(tmp_path)
    many = rows(*(makers.shown(f"n{i}") for i in range(500)), writer="w2")
    with pytest.raises(StoreError) as caught:
        store.write(many)
    assert caught.value.code == "log_disk_full"
    assert caught.value.hint
    monkeypatch.undo()
    assert len(list(read_events(tmp_path))) == 3
    store.write(many)
    store.close()
    assert len(list(read_events(tmp_path))) == 503


def test_impossible_folder_is_named(tmp_path: Path) -> None:
    """A folder that cannot be made gives an error with a hint, not a traceback of the system."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        EventStore(tmp_path / "file" / "state").write(rows(makers.shown("a")))
    assert caught.value.hint


def test_no_log_reads_as_nothing(tmp_path: Path) -> None:
    """Reading before anything was logged gives no events and makes no files."""
    assert list(read_events(tmp_path / "none")) == []
    assert not (tmp_path / "none").exists()


def test_reading_a_damaged_log_is_refused(tmp_path: Path) -> None:
    """Reading never shows figures from a damaged log, and leaves it where it is."""
    path = filled(tmp_path)
    spoil_header(path)
    with pytest.raises(StoreError) as caught:
        list(read_events(tmp_path))
    assert caught.value.code == "log_damaged"
    assert path.exists()


def test_clear_deletes_everything(tmp_path: Path) -> None:
    """After clearing, no event, set-aside file or salt is left, and no text stays in the file."""
    path = filled(tmp_path, 50)
    (tmp_path / f"{DATABASE}.damaged-1").write_bytes(b"old")
    (tmp_path / "events.salt").write_bytes(b"s" * 32)
    assert clear_events(tmp_path) == 50
    assert list(read_events(tmp_path)) == []
    left = {entry.name for entry in tmp_path.iterdir()}
    assert left <= {DATABASE, "events.lock", f"{DATABASE}-wal", f"{DATABASE}-shm"}
    assert b"c49" not in path.read_bytes()


def test_clear_beside_a_running_writer(tmp_path: Path) -> None:
    """A server that is running goes on logging into the cleared file."""
    store = EventStore(tmp_path)
    store.write(rows(makers.shown("old")))
    assert clear_events(tmp_path) == 1
    store.write(rows(makers.shown("new"), first=2))
    store.close()
    assert [event.completion_id for event in read_events(tmp_path)] == ["new"]


def test_clear_without_a_log(tmp_path: Path) -> None:
    """Clearing where nothing was logged deletes nothing."""
    assert clear_events(tmp_path / "none") == 0


def test_old_events_go_when_the_log_is_opened(tmp_path: Path) -> None:
    """If they are to be kept for some time only."""
    now = time.time()
    events = [msgspec.structs.replace(makers.shown(f"c{n}"), ts=now - n * 86_400) for n in range(5)]
    store = EventStore(tmp_path)
    store.write([("w", n, *to_row(event)) for n, event in enumerate(events)])
    store.close()
    store = EventStore(tmp_path, keep_s=2.5 * 86_400)
    store.write([("v", 1, *to_row(msgspec.structs.replace(makers.shown("new"), ts=now)))])
    store.close()
    assert {event.completion_id for event in read_events(tmp_path)} == {"c0", "c1", "c2", "new"}
