"""The two ends of stdio: a reader thread, a writer thread, and nobody else on stdout."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable

import msgspec

from lsp_server.lifecycle.frames import Fault, FrameParser, Message
from lsp_server.lifecycle.writer import Writer

_CHUNK_BYTES = 64 * 1024
# Messages read but not handled yet. A full pipe then slows the client down instead of
# filling the memory.
MAX_UNHANDLED_MESSAGES = 1024
# How often to look for a client that has gone while it does not read.
_LOOK_INTERVAL_S = 0.3


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The client closed its end, or it broke."""

    reason: str


Event = Message | Fault | Ended


class Channel:
    """Reads events from one file descriptor and writes messages to another.

    Args:
        read_fd: the client's messages.
        write_fd: ours.
        on_event: called from a thread for every event in order; it must not block. Whoever
            has handled an event calls ``handled``.
    """

    def __init__(self, read_fd: int, write_fd: int, on_event: Callable[[Event], None]) -> None:
        self._read_fd = read_fd
        self._on_event = on_event
        self._parser = FrameParser()
        self._room = threading.Semaphore(MAX_UNHANDLED_MESSAGES)
        self.writer = Writer(write_fd, self._writer_broke)
        self._thread = threading.Thread(target=self._run, name="lsp-reader", daemon=True)

    def start(self) -> None:
        """Begin to read and to write."""
        self.writer.start()
        self._thread.start()

    def handled(self) -> None:
        """Make room for one more event."""
        self._room.release()

    def _writer_broke(self) -> None:
        self._on_event(Ended(reason="the client closed its end of stdout"))

    def _run(self) -> None:
        while self._wait_for_room():
            try:
                data = os.read(self._read_fd, _CHUNK_BYTES)
            except OSError as error:
                self._on_event(Ended(reason=f"stdin cannot be read: {error.strerror}"))
                return
            if not data:
                self._on_event(Ended(reason="the client closed stdin"))
                return
            for event in self._parser.feed(data):
                self._room.acquire()
                self._on_event(event)

    def _wait_for_room(self) -> bool:
        while not self.writer.wait_for_room(_LOOK_INTERVAL_S):
            if self.writer.has_ended:
                return False
            if _has_hung_up(self._read_fd):
                # It takes no replies, and nothing it sent before leaving matters any more.
                self._on_event(Ended(reason="the client closed stdin"))
                return False
        return True


def _has_hung_up(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, 0)
    return any(flags & (select.POLLHUP | select.POLLERR) for _, flags in poll.poll(0))


def take_stdio() -> tuple[int, int]:
    """Reserve stdin and stdout for the protocol.

    Whatever else writes to stdout, a ``print()`` or a C library, goes to stderr from now on,
    and reading stdin gives an end of file. Child processes inherit neither end.

    Returns:
        file descriptors to read from the client and to write to it.
    """
    sys.stdout.flush()
    read_fd, write_fd = os.dup(0), os.dup(1)
    null_fd = os.open(os.devnull, os.O_RDWR)
    os.dup2(null_fd, 0)
    try:
        os.dup2(2, 1)
    except OSError:
        # Started without stderr.
        os.dup2(null_fd, 1)
    os.close(null_fd)
    # Some clients hand over pipes in non-blocking mode; both threads rely on blocking.
    os.set_blocking(read_fd, True)
    os.set_blocking(write_fd, True)
    return read_fd, write_fd
