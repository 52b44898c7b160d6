"""The event log: acknowledgement, trouble with the disk, warnings, closing."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lsp_server.acceptance.events import Failed
from lsp_server.acceptance.log import EventLog
from lsp_server.acceptance.store import EventStore, read_events
from lsp_server.errors import StoreError

TIMEOUT_S = 20.0


def event(n: int) -> Failed:
    """A numbered event."""
    return Failed(completion_id=str(n), ts=float(n), session="s", reason="test")


def stored(folder: Path) -> list[int]:
    """The numbers of the stored events."""
    return [int(found.completion_id) for found in read_events(folder)]


class Warnings:
    """Collects warnings, and the threads they came on."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.threads: set[int] = set()
        self.first = asyncio.Event()

    def __call__(self, error: StoreError) -> None:
        """Take a warning."""
        assert error.message
        assert error.hint
        self.codes.append(error.code)
        self.threads.add(threading.get_ident())
        self.first.set()


def blocked(tmp_path: Path) -> Path:
    """A folder that cannot be made, because a file is in its place."""
    (tmp_path / "blocker").write_text("")
    return tmp_path / "blocker" / "state"


def unblock(tmp_path: Path) -> None:
    """Let the folder be made."""
    (tmp_path / "blocker").unlink()


async def test_acknowledged_means_stored(tmp_path: Path) -> None:
    """When append_durable answers true, another connection finds the event."""
    log = EventLog(tmp_path)
    assert await log.append_durable(event(1)) is True
    assert stored(tmp_path) == [1]
    await log.aclose()


async def test_flush_covers_everything_before_it(tmp_path: Path) -> None:
    """After a flush all events appended before it are stored, more than one batch of them."""
    log = EventLog(tmp_path)
    for n in range(2500):
        log.append(event(n))
    assert await log.flush() is True
    assert stored(tmp_path) == list(range(2500))
    assert log.n_waiting == 0
    await log.aclose()


async def test_close_writes_what_waits(tmp_path: Path) -> None:
    """Closing stores what was appended; later events are refused and counted."""
    log = EventLog(tmp_path)
    log.append(event(1))
    await log.aclose()
    assert stored(tmp_path) == [1]
    assert await log.append_durable(event(2)) is False
    assert log.n_dropped == 1
    assert await log.flush() is True


async def test_nothing_happens_before_the_first_event(tmp_path: Path) -> None:
    """A log without events makes no files, starts no thread and closes at once."""
    log = EventLog(tmp_path / "state")
    assert await log.flush() is True
    await log.aclose()
    assert not (tmp_path / "state").exists()


def test_works_without_an_event_loop(tmp_path: Path) -> None:
    """Appending and closing need no event loop."""
    log = EventLog(tmp_path)
    log.append(event(1))
    log.close()
    assert stored(tmp_path) == [1]


async def test_appending_never_waits_for_the_database(tmp_path: Path) -> None:
    """While another program holds the database, appending returns and the loop goes on."""
    log = EventLog(tmp_path)
    assert await log.append_durable(event(1))
    holder = sqlite3.connect(log.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    log.append(event(2))
    waiter = asyncio.create_task(log.flush())
    await asyncio.sleep(0)  # lets the task start; the writer now waits for the database
    assert log.n_waiting == 1
    assert not waiter.done()
    holder.execute("COMMIT")
    holder.close()
    assert await asyncio.wait_for(waiter, TIMEOUT_S) is True
    assert stored(tmp_path) == [1, 2]
    await log.aclose()


async def test_trouble_is_warned_about_once(tmp_path: Path) -> None:
    """However many events cannot be written, one warning is given, on the loop's thread."""
    warnings = Warnings()
    log = EventLog(blocked(tmp_path), on_warning=warnings)
    for n in range(5):
        assert await log.append_durable(event(n)) is False
    await asyncio.wait_for(warnings.first.wait(), TIMEOUT_S)
    assert await log.flush() is False
    assert len(warnings.codes) == 1
    assert warnings.threads == {threading.get_ident()}
    await log.aclose()


async def test_events_wait_for_the_disk(tmp_path: Path) -> None:
    """Events that could not be written are kept, and stored once the folder is usable."""
    folder = blocked(tmp_path)
    log = EventLog(folder)
    for n in range(3):
        assert await log.append_durable(event(n)) is False
    assert log.n_waiting == 3
    unblock(tmp_path)
    assert await log.flush() is True
    assert stored(folder) == [0, 1, 2]
    await log.aclose()


async def test_writing_is_retried_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After trouble the log tries again by itself."""
    folder = blocked(tmp_path)
    log = EventLog(folder, retry_s=(0.01, 0.02))
    assert await log.append_durable(event(1)) is False
    retried = asyncio.Event()
    loop = asyncio.get_running_loop()
    real_write = EventStore.write

    def write(self: EventStore, rows: Sequence[tuple[Any, ...]]) -> None:
        real_write(self, rows)
        loop.call_soon_threadsafe(retried.set)

    monkeypatch.setattr(EventStore, "write", write)
    unblock(tmp_path)
    await asyncio.wait_for(retried.wait(), TIMEOUT_S)
    assert stored(folder) == [1]
    await log.aclose()


async def test_memory_is_bounded(tmp_path: Path) -> None:
    """When the disk stays away, the newest events are kept and the others are counted."""
    folder = blocked(tmp_path)
    log = EventLog(folder, max_waiting=4)
    for n in range(10):
        await log.append_durable(event(n))
    assert log.n_waiting == 4
    assert log.n_dropped == 6
    unblock(tmp_path)
    assert await log.flush() is True
    assert stored(folder) == [6, 7, 8, 9]
    await log.aclose()


async def test_closing_in_trouble_ends(tmp_path: Path) -> None:
    """Closing while the disk is away gives up the waiting events and ends the writer."""
    log = EventLog(blocked(tmp_path))
    assert await log.append_durable(event(1)) is False
    await log.aclose()
    assert log.n_dropped == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "event-log"]


async def test_set_aside_is_warned_about(tmp_path: Path) -> None:
    """A damaged database costs one warning and no new event."""
    first = EventLog(tmp_path)
    await first.append_durable(event(1))
    await first.aclose()
    first.path.write_bytes(b"no database".ljust(5000, b"."))
    warnings = Warnings()
    log = EventLog(tmp_path, on_warning=warnings)
    assert await log.append_durable(event(2)) is True
    await asyncio.wait_for(warnings.first.wait(), TIMEOUT_S)
    assert warnings.codes == ["log_set_aside"]
    assert stored(tmp_path) == [2]
    await log.aclose()


async def test_writer_survives_the_unexpected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error nobody foresaw does not end the writer; the event is stored on the next try."""
    real_write = EventStore.write
    warnings = Warnings()

    def broken(self: EventStore, rows: object) -> None:
        monkeypatch.setattr(EventStore, "write", real_write)
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(EventStore, "write", broken)
    log = EventLog(tmp_path, on_warning=warnings)
    assert await log.append_durable(event(1)) is False
    assert await log.flush() is True
    assert stored(tmp_path) == [1]
    assert warnings.codes == ["log_failed"]
    await log.aclose()


async def test_two_logs_share_a_database(tmp_path: Path) -> None:
    """Two servers that append to one database at once store all their events."""
    logs = [EventLog(tmp_path), EventLog(tmp_path)]
    for n in range(200):
        logs[n % 2].append(event(n))
    assert await asyncio.gather(*(log.flush() for log in logs)) == [True, True]
    assert stored(tmp_path) == list(range(200))
    for log in logs:
        await log.aclose()
