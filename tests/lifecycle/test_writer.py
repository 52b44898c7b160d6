"""The bounded writer, in front of a pipe that nobody empties."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from lsp_server.lifecycle.frames import FrameParser, Message
from lsp_server.lifecycle.writer import MIN_BACKLOG_BYTES, Writer

PATIENCE_S = 60.0
# More than a pipe takes on any system, so the writer's thread is stuck in the first message.
STUCK = b'"%b"' % (b"s" * 2_000_000)


class Pipe:
    """A pipe, and a reader that starts when told."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        self.values: list[object] = []
        self._thread: threading.Thread | None = None

    def read_all(self) -> None:
        """Read until the end in a thread."""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def finish(self) -> list[object]:
        """Close the writing end and return everything that came through."""
        os.close(self.write_fd)
        self.write_fd = -1
        assert self._thread is not None
        self._thread.join(PATIENCE_S)
        return self.values

    def _read(self) -> None:
        parser = FrameParser()
        while data := os.read(self.read_fd, 65536):
            for event in parser.feed(data):
                assert isinstance(event, Message)
                self.values.append(event.value)

    def close(self) -> None:
        """Close what is still open."""
        for fd in (self.read_fd, self.write_fd):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe that is closed in the end."""
    made = Pipe()
    yield made
    made.close()


def drain(pipe: Pipe, writer: Writer) -> list[object]:
    """Read all that the writer has, and end it."""
    pipe.read_all()
    writer.close()
    assert writer.flush(PATIENCE_S)
    return [value for value in pipe.finish() if not isinstance(value, str)]


def test_messages_arrive_in_order(pipe: Pipe) -> None:
    """Everything that was sent is written, in order."""
    writer = Writer(pipe.write_fd)
    writer.start()
    for number in range(500):
        writer.send(b"%d" % number, droppable=number % 2 == 0)
    assert drain(pipe, writer) == list(range(500))


def test_logs_are_dropped_before_replies(pipe: Pipe) -> None:
    """Above the bound droppable messages go, the oldest first; replies all stay."""
    writer = Writer(pipe.write_fd, max_queued_bytes=1000)
    writer.start()
    writer.send(STUCK)
    for number in range(100):
        writer.send(b"%d" % number)
        writer.send(b"%d" % (1000 + number), droppable=True)
    received = drain(pipe, writer)
    assert [value for value in received if value in range(100)] == list(range(100))
    assert writer.n_dropped == 100
    assert len(received) == 100


def test_the_newest_logs_stay_when_there_is_room(pipe: Pipe) -> None:
    """The bound drops no more than it must."""
    writer = Writer(pipe.write_fd, max_queued_bytes=len(STUCK) + 1000)
    writer.send(STUCK)
    for number in range(1000):
        writer.send(b"%d" % number, droppable=True)
    assert writer.n_queued_bytes <= len(STUCK) + 1000
    writer.start()
    received = drain(pipe, writer)
    assert 10 < len(received) < 100
    assert received == list(range(1000 - len(received), 1000))


def test_messages_of_one_key_merge_for_a_slow_client_only(pipe: Pipe) -> None:
    """A client that keeps up sees every partial result, a slow one the newest."""
    writer = Writer(pipe.write_fd)
    for number in range(3):
        writer.send(b"%d" % number, droppable=True, key="a")
    writer.send(b'"%b"' % (b"x" * MIN_BACKLOG_BYTES))
    for number in range(10, 20):
        writer.send(b"%d" % number, droppable=True, key="a")
        writer.send(b"%d" % (number + 100), droppable=True, key="b")
    writer.start()
    assert drain(pipe, writer) == [0, 1, 19, 119]


def test_reading_waits_while_replies_pile_up(pipe: Pipe) -> None:
    """Replies beyond the bound stop the reader until the client has taken them."""
    writer = Writer(pipe.write_fd, max_queued_bytes=1000)
    writer.start()
    assert writer.wait_for_room()
    writer.send(STUCK)
    writer.send(STUCK)
    passed = threading.Event()

    def wait() -> None:
        if writer.wait_for_room():
            passed.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert not passed.is_set()
    pipe.read_all()
    assert passed.wait(PATIENCE_S)
    waiter.join(PATIENCE_S)
    writer.close()
    assert writer.flush(PATIENCE_S)
    assert len(pipe.finish()) == 2


def test_a_client_that_left_ends_the_writer(pipe: Pipe) -> None:
    """A broken pipe is reported once, later messages go nowhere, nobody waits for ever."""
    broken = threading.Event()
    writer = Writer(pipe.write_fd, broken.set)
    os.close(pipe.read_fd)
    pipe.read_fd = -1
    writer.start()
    writer.send(b"1")
    assert broken.wait(PATIENCE_S)
    writer.send(b"2")
    assert writer.n_queued_bytes == 0
    assert not writer.wait_for_room()


def test_flush_gives_up_on_a_client_that_does_not_read(pipe: Pipe) -> None:
    """Leaving does not wait for ever."""
    writer = Writer(pipe.write_fd)
    writer.start()
    writer.send(STUCK)
    assert not writer.flush(0.01)
    drain(pipe, writer)
