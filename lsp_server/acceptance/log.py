"""The append-only event log. Appending never blocks: a thread of its own writes to the database."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lsp_server.acceptance.events import Event, to_row
from lsp_server.acceptance.store import EventStore
from lsp_server.errors import StoreError

_MAX_BATCH = 1000
_CLOSE_TIMEOUT_S = 10.0

OnWarning = Callable[[StoreError], None]


class EventSink(Protocol):
    """Where events go."""

    def append(self, event: Event) -> None:
        """Take the event without blocking."""


class _Waiting(NamedTuple):
    seq: int
    row: tuple[Any, ...]


class EventLog:
    """Appends events to ``events.sqlite``; several processes may do so at once.

    An event that was acknowledged (``append_durable`` or ``flush`` returned true) survives the
    death of this process. When the disk is full or the folder cannot be written, one warning is
    given, the newest events wait in memory, and writing is tried again with growing pauses.

    Args:
        folder: where the database lies; by default the state folder.
        on_warning: called once per kind of trouble, on the event loop that appends, or in the
            writer's thread when there is none.
        max_waiting: events kept in memory while they cannot be written; the oldest go first.
        retry_s: first and longest pause between two tries, in seconds.
        keep_s: older events are deleted when the log is opened; 0 keeps all.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        on_warning: OnWarning | None = None,
        max_waiting: int = 10_000,
        retry_s: tuple[float, float] = (1.0, 30.0),
        keep_s: float = 0.0,
    ) -> None:
        self.n_dropped = 0
        self._store = EventStore(folder, keep_s=keep_s)
        self._on_warning = on_warning
        self._max_waiting = max_waiting
        self._retry_s = retry_s
        self._writer_id = secrets.token_hex(8)
        self._seq = itertools.count(1)
        self._last_seq = 0
        self._written_seq = 0
        self._waiting: deque[_Waiting] = deque()
        self._acks: list[tuple[int, Callable[[bool], None]]] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._pause_s = 0.0
        self._retry_at_s = 0.0
        self._warned: set[str] = set()

    @property
    def path(self) -> Path:
        """The database file."""
        return self._store.path

    @property
    def n_waiting(self) -> int:
        """Events not yet in the database."""
        return len(self._waiting)

    def append(self, event: Event) -> None:
        """Take the event and return at once; it is written soon after."""
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()
        with self._wake:
            self._add(event)
            self._wake.notify()

    async def append_durable(self, event: Event) -> bool:
        """Append the event; true once it is committed, false if it only waits in memory."""
        return await self._acknowledged(event)

    async def flush(self) -> bool:
        """Write what waits; true once everything appended so far is committed."""
        return await self._acknowledged(None)

    async def aclose(self) -> None:
        """Write what waits and end the writer; what cannot be written now is dropped."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Like ``aclose``, for callers without an event loop."""
        with self._wake:
            self._closing = True
            thread = self._thread
            self._wake.notify()
        if thread is not None:
            thread.join(_CLOSE_TIMEOUT_S)

    async def _acknowledged(self, event: Event | None) -> bool:
        loop = self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()

        def settle(stored: bool) -> None:
            if not answer.done():
                answer.set_result(stored)

        def acknowledge(stored: bool) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be gone by now
                loop.call_soon_threadsafe(settle, stored)

        with self._wake:
            if event is not None and not self._add(event):
                return False
            if self._written_seq >= self._last_seq:
                return True
            if self._closing:
                return False
            self._acks.append((self._last_seq, acknowledge))
            self._wake.notify()
        return await answer

    def _add(self, event: Event) -> bool:
        """Queue the event, with the lock held; false when the log is closed."""
        if self._closing:
            self.n_dropped += 1
            return False
        self._last_seq = next(self._seq)
        self._waiting.append(_Waiting(self._last_seq, to_row(event)))
        if len(self._waiting) > self._max_waiting:
            dropped = self._waiting.popleft()
            self.n_dropped += 1
            self._settle(dropped.seq, False)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
            self._thread.start()
        return True

    def _settle(self, seq: int, stored: bool) -> None:
        """Answer everybody who waits for events up to ``seq``, with the lock held."""
        for _, acknowledge in [ack for ack in self._acks if ack[0] <= seq]:
            acknowledge(stored)
        self._acks = [ack for ack in self._acks if ack[0] > seq]

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(self._has_work, timeout=self._idle_s())
                if self._closing and not self._waiting:
                    break
                if not self._has_work():
                    continue
                batch = list(itertools.islice(self._waiting, _MAX_BATCH))
            if not self._write(batch) and self._closing:
                break
        with self._wake:
            self.n_dropped += len(self._waiting)
            self._settle(self._last_seq, False)
        self._store.close()

    def _has_work(self) -> bool:
        if self._closing:
            return True
        urgent = bool(self._acks)
        return bool(self._waiting) and (urgent or time.monotonic() >= self._retry_at_s)

    def _idle_s(self) -> float | None:
        """How long the writer may sleep without being woken, with the lock held."""
        return max(0.0, self._retry_at_s - time.monotonic()) if self._waiting else None

    def _write(self, batch: list[_Waiting]) -> bool:
        n_set_aside = len(self._store.set_aside)
        try:
            self._store.write([(self._writer_id, seq, *row) for seq, row in batch])
            trouble = None
        except StoreError as error:
            trouble = error
        except Exception as error:
            # Whatever it is, the thread has to live on: without it no event is ever stored.
            trouble = StoreError(
                f"The acceptance log cannot be written: {type(error).__name__}.",
                code="log_failed",
                hint="Completions go on; please report this.",
            )
        for damaged in self._store.set_aside[n_set_aside:]:
            self._warn(
                StoreError(
                    f"The acceptance log was damaged; it now lies at {damaged} and a new one "
                    "was begun.",
                    code="log_set_aside",
                    hint="Nothing has to be done; older events are not counted any more.",
                )
            )
        if trouble is not None:
            self._warn(trouble)
        with self._wake:
            self._conclude(batch[-1].seq, trouble is None)
        return trouble is None

    def _conclude(self, seq: int, stored: bool) -> None:
        if stored:
            while self._waiting and self._waiting[0].seq <= seq:
                self._waiting.popleft()
            self._written_seq = seq
            self._pause_s = self._retry_at_s = 0.0
            self._settle(seq, True)
            return
        first_s, longest_s = self._retry_s
        self._pause_s = min(max(first_s, self._pause_s * 2), longest_s)
        self._retry_at_s = time.monotonic() + self._pause_s
        self._settle(self._last_seq, False)

    def _warn(self, error: StoreError) -> None:
        if self._on_warning is None or error.code in self._warned:
            return
        self._warned.add(error.code)
        try:
            if self._loop is None:
                self._on_warning(error)
            else:
                self._loop.call_soon_threadsafe(self._on_warning, error)
        except RuntimeError:  # the loop is gone, and with it whoever could be told
            return
