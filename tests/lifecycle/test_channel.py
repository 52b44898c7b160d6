"""The channel on two pipes."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator

import pytest

from lsp_server.lifecycle.channel import MAX_UNHANDLED_MESSAGES, Channel, Ended, Event
from lsp_server.lifecycle.frames import Fault, Message, frame
from lsp_server.lifecycle.writer import MAX_QUEUED_BYTES

PATIENCE_S = 60.0


class Ends:
    """A channel, and the client's ends of its pipes."""

    def __init__(self) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        read_fd, self.to_channel = os.pipe()
        self.from_channel, write_fd = os.pipe()
        self.channel = Channel(read_fd, write_fd, self.events.put)
        self._fds = [read_fd, write_fd, self.from_channel, self.to_channel]

    def event(self) -> Event:
        """The next event."""
        return self.events.get(timeout=PATIENCE_S)

    def hang_up(self, fd: int) -> None:
        """Close one of the client's ends."""
        os.close(fd)
        self._fds.remove(fd)

    def close(self) -> None:
        """Close what is still open."""
        for fd in self._fds:
            os.close(fd)


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A channel that is closed in the end."""
    made = Ends()
    yield made
    made.channel.writer.close()
    made.close()


def test_events_come_in_order_and_the_end_comes_last(ends: Ends) -> None:
    """Messages, faults and the end keep the order of the bytes."""
    ends.channel.start()
    os.write(ends.to_channel, frame(b"1") + frame(b"{") + frame(b"2"))
    ends.hang_up(ends.to_channel)
    first, fault, second, end = (ends.event() for _ in range(4))
    assert (first, second) == (Message(value=1), Message(value=2))
    assert isinstance(fault, Fault)
    assert isinstance(end, Ended)


def test_unhandled_messages_stop_the_reader(ends: Ends) -> None:
    """Whoever does not handle messages does not get ever more of them."""
    ends.channel.start()
    n_sent = MAX_UNHANDLED_MESSAGES + 10
    os.write(ends.to_channel, frame(b"1") * n_sent)
    for _ in range(MAX_UNHANDLED_MESSAGES):
        ends.event()
    assert not ends.channel._room.acquire(blocking=False)
    assert ends.events.empty()
    for _ in range(10):
        ends.channel.handled()
    assert [ends.event() for _ in range(10)] == [Message(value=1)] * 10


def test_a_client_that_neither_reads_nor_stays_is_noticed(ends: Ends) -> None:
    """The end of stdin is seen even while the reader waits for replies to be taken."""
    for _ in range(2):
        ends.channel.writer.send(b"0" * MAX_QUEUED_BYTES)
    ends.channel.start()
    os.write(ends.to_channel, frame(b"1"))
    ends.hang_up(ends.to_channel)
    assert isinstance(ends.event(), Ended)


def test_a_client_that_closes_its_reading_end_is_noticed(ends: Ends) -> None:
    """The next message cannot be written, which is the end."""
    ends.hang_up(ends.from_channel)
    ends.channel.start()
    ends.channel.writer.send(b"0")
    assert isinstance(ends.event(), Ended)
