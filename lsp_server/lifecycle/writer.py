"""Writes to the client from its own thread, so that a client that does not read stops nobody."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from lsp_server.lifecycle.frames import frame

# What may wait for a client that does not read. Beyond it, what the client can do without is
# dropped; replies are kept, and no more requests are read until they are gone.
MAX_QUEUED_BYTES = 8 * 1024 * 1024
# From here on a client counts as slow, and messages that replace each other are merged.
MIN_BACKLOG_BYTES = 64 * 1024


class _Entry(msgspec.Struct, frozen=True):
    data: bytes
    key: str


class Writer:
    """A bounded queue of messages in front of a file descriptor.

    Args:
        fd: where to write; the writer does not close it.
        on_broken: called once, from the writer's thread, when the client has gone.
        max_queued_bytes: size above which droppable messages are dropped.
    """

    def __init__(
        self,
        fd: int,
        on_broken: Callable[[], None] = lambda: None,
        max_queued_bytes: int = MAX_QUEUED_BYTES,
    ) -> None:
        self._fd = fd
        self._on_broken = on_broken
        self._max_queued_bytes = max_queued_bytes
        self._condition = threading.Condition()
        # A dict in order of arrival: replacing and dropping cost the same at any length.
        self._queue: OrderedDict[int, _Entry] = OrderedDict()
        self._droppable: OrderedDict[int, None] = OrderedDict()
        self._latest: dict[str, int] = {}
        self._next_number = 0
        self._n_bytes = 0
        self._writing = False
        self._closed = False
        self._broken = False
        self.n_dropped = 0
        self._thread = threading.Thread(target=self._run, name="lsp-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    @property
    def n_queued_bytes(self) -> int:
        """Bytes that wait to be written."""
        return self._n_bytes

    def send(self, body: bytes, *, droppable: bool = False, key: str = "") -> None:
        """Queue a message; never blocks.

        Args:
            body: JSON.
            droppable: whether the client can do without it.
            key: for a slow client the message takes the place of a waiting one with this key.
        """
        entry = _Entry(frame(body), key)
        with self._condition:
            if self._closed or self._broken:
                return
            if key in self._latest and self._n_bytes > MIN_BACKLOG_BYTES:
                self._forget(self._latest[key])
            self._queue[self._next_number] = entry
            self._n_bytes += len(entry.data)
            if droppable:
                self._droppable[self._next_number] = None
            if key:
                self._latest[key] = self._next_number
            self._next_number += 1
            while self._n_bytes > self._max_queued_bytes and self._droppable:
                self._forget(next(iter(self._droppable)))
                self.n_dropped += 1
            self._condition.notify_all()

    @property
    def has_ended(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._closed or self._broken

    def wait_for_room(self, timeout_s: float | None = None) -> bool:
        """Block until the queue is below its bound; False when it is not, or has ended."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._n_bytes <= self._max_queued_bytes or self.has_ended, timeout_s
            )
            return self._n_bytes <= self._max_queued_bytes and not self.has_ended

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is written; False when the client did not take it in time."""
        with self._condition:
            self._condition.wait_for(
                lambda: (not self._queue and not self._writing) or self._broken, timeout_s
            )
            return not self._queue and not self._writing

    def close(self) -> None:
        """Take no more messages and end the thread once it has written what waits."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _forget(self, number: int) -> None:
        entry = self._queue.pop(number)
        self._n_bytes -= len(entry.data)
        self._droppable.pop(number, None)
        if entry.key and self._latest.get(entry.key) == number:
            del self._latest[entry.key]

    def _run(self) -> None:
        while True:
            with self._condition:
                self._writing = False
                self._condition.notify_all()
                self._condition.wait_for(lambda: bool(self._queue) or self._closed)
                if not self._queue:
                    return
                number = next(iter(self._queue))
                data = self._queue[number].data
                self._forget(number)
                self._writing = True
            try:
                _write_all(self._fd, data)
            except OSError:
                self._break()
                return

    def _break(self) -> None:
        with self._condition:
            self._broken = True
            self._writing = False
            self._queue.clear()
            self._droppable.clear()
            self._latest.clear()
            self._n_bytes = 0
            self._condition.notify_all()
        self._on_broken()


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
