"""Playing a session to several sides."""

from __future__ import annotations

import asyncio
import math

import msgspec
import pytest

from benchmarks.latency.session import Edit, Event, Header, Moment, Open, Session, Step, steps
from benchmarks.latency.sides.types import Answer
from benchmarks.latency.turns import Request, play


class FakeSide:
    """Answers at once, or never; notes what it is told.

    Args:
        name: of the side.
        log: where all sides write.
        never: numbers of the questions that are not answered.
    """

    def __init__(self, name: str, log: list[str], never: tuple[int, ...] = ()) -> None:
        self.name = name
        self._log = log
        self._never = never
        self._n_asked = 0

    async def start(self) -> None: ...

    async def apply(self, event: Event, moment: Moment) -> None:
        self._log.append(f"{self.name} has {moment.text!r}")

    async def ask(self, moment: Moment) -> Answer:
        self._n_asked += 1
        self._log.append(f"{self.name} is asked at {moment.text!r}")
        if self._n_asked in self._never:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self._log.append(f"{self.name} takes it back")
                raise
        return Answer(text=f"{self.name}\n", ttft_ms=1, display_ms=2, line_ms=3, total_ms=4)

    async def settle(self) -> None:
        self._log.append(f"{self.name} is idle")

    async def aclose(self) -> None: ...


def session_steps(gap_ms: float) -> list[Step]:
    """Two requests: after ``a`` and after ``ab``."""
    events: list[Event] = [Open(gap_ms=0, path="f.py")]
    for column, text in enumerate("ab"):
        events.append(
            Edit(gap_ms=gap_ms, line=0, column=column, end_line=0, end_column=column, text=text)
        )
    header = Header(name="n", note="", files={"f.py": ""})
    return steps(Session(header=header, events=tuple(events)), 0, every_key=True)


async def test_sides_take_turns_and_the_first_one_alternates() -> None:
    """A B, then B A; each side has applied its edits when it is asked."""
    log: list[str] = []
    done: list[Request] = []
    sides = [FakeSide("A", log), FakeSide("B", log)]
    await play(sides, session_steps(1), 0, done.append, gaps=False)
    asked = [line for line in log if "asked" in line]
    assert asked == [
        *("A is asked at 'a'", "B is asked at 'a'"),
        *("B is asked at 'ab'", "A is asked at 'ab'"),
    ]
    assert [request.key for request in done] == ["A|0|0", "B|0|0", "B|0|1", "A|0|1"]
    assert {request.outcome for request in done} == {"answered"}


async def test_the_next_repetition_begins_with_the_other_side() -> None:
    """So that over two repetitions every request has both orders."""
    done: list[Request] = []
    sides = [FakeSide("A", []), FakeSide("B", [])]
    await play(sides, session_steps(1), 1, done.append, gaps=False)
    assert [request.side for request in done] == ["B", "A", "A", "B"]


async def test_a_newer_request_overtakes_one_that_is_not_answered() -> None:
    """It is taken back and counted as overtaken; the next side waits until this one is idle."""
    log: list[str] = []
    done: list[Request] = []
    sides = [FakeSide("A", log, never=(1,)), FakeSide("B", log)]
    await play(sides, session_steps(1), 0, done.append, gaps=True)
    assert [(r.side, r.step, r.outcome) for r in done] == [
        *(("A", 0, "overtaken"), ("A", 1, "answered")),
        *(("B", 0, "answered"), ("B", 1, "answered")),
    ]
    assert done[0].ttft_ms == 0
    assert log.index("A takes it back") < log.index("A is asked at 'ab'")
    assert log.index("A is idle") < log.index("B is asked at 'a'")


async def test_with_gaps_sides_take_turns_where_the_cursor_goes_elsewhere() -> None:
    """So that what an overtaken request still costs falls on its own side."""
    done: list[Request] = []
    first, second = session_steps(1)
    jumped = [first, second, msgspec.structs.replace(second, number=2, kind="jump")]
    await play([FakeSide("A", []), FakeSide("B", [])], jumped, 0, done.append, gaps=True)
    assert [(r.side, r.step) for r in done] == [
        *(("A", 0), ("A", 1), ("B", 0), ("B", 1)),
        *(("B", 2), ("A", 2)),
    ]


async def test_with_gaps_every_side_gets_every_event_once() -> None:
    """The edits typed while a request is under way are not applied again."""
    log: list[str] = []
    await play([FakeSide("A", log)], session_steps(1), 0, lambda _request: None, gaps=True)
    assert log == [
        *("A has ''", "A has 'a'", "A is asked at 'a'"),
        *("A has 'ab'", "A is asked at 'ab'", "A is idle"),
    ]


async def test_an_error_of_a_side_ends_the_replay() -> None:
    """It is not counted as an overtaken request."""

    class Broken(FakeSide):
        async def ask(self, moment: Moment) -> Answer:
            raise OSError("broken")

    done: list[Request] = []
    with pytest.raises(OSError, match="broken"):
        await play([Broken("A", [])], session_steps(1), 0, done.append, gaps=True)
    assert done == []


def test_the_last_request_has_all_the_time() -> None:
    """Nothing overtakes it."""
    assert session_steps(5)[-1].available_ms == math.inf
