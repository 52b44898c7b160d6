"""What becomes of accepted text, in sessions whose outcome is known."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from lsp_server.acceptance import retention
from lsp_server.acceptance.retention import TIMES_S, Retention
from lsp_server.documents import Change, TextDocument
from lsp_server.positions import end_of
from lsp_server.types import Edit, Position

URI = "file:///a.py"


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._n = 0

    def later(self, seconds: float, call: Callable[[], None]) -> Entry:
        """Call something later."""
        self._n += 1
        entry = (self.now_s + seconds, self._n, call)
        self._waiting.append(entry)
        return Entry(self._waiting, entry)

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        end_s = self.now_s + seconds
        while due := [entry for entry in self._waiting if entry[0] <= end_s]:
            entry = min(due)
            self._waiting.remove(entry)
            self.now_s = entry[0]
            entry[2]()
        self.now_s = end_s


class Entry:
    """Something that waits for its time."""

    def __init__(
        self,
        waiting: list[tuple[float, int, Callable[[], None]]],
        entry: tuple[float, int, Callable[[], None]],
    ) -> None:
        self._waiting = waiting
        self._entry = entry

    def cancel(self) -> None:
        """Do not wait any more."""
        if self._entry in self._waiting:
            self._waiting.remove(self._entry)


class Session:
    """An editor with one document, and what is told of it."""

    def __init__(self, text: str) -> None:
        self.clock = Clock()
        self.told: list[tuple[str, float, int, int]] = []
        self.retention = Retention(lambda *each: self.told.append(each), self.clock.later)
        self.document = TextDocument(URI, "python", 1, text)
        self.retention.opened(self.document.snapshot())

    def type(self, edit: Edit) -> None:
        """Edit the document."""
        lines = [str(line) for line in self.document.lines]
        before = "".join(lines)
        start = sum(map(len, lines[: edit.start.line])) + edit.start.column
        text = before[:start] + edit.text + before[start + len(edit.removed) :]
        self.document.change(2, [Change(text=text)])
        self.retention.edited(self.document.snapshot(), [edit])

    def insert(self, at: Position, text: str) -> None:
        """Type or paste something."""
        self.type(Edit(at, at, text, ""))

    def delete(self, at: Position, text: str) -> None:
        """Delete a text that stands somewhere."""
        self.type(Edit(at, end_of(at, text), "", text))


@pytest.mark.parametrize("is_told_first", [True, False])
def test_what_is_left_is_told_at_each_time(is_told_first: bool) -> None:
    """Whether the editor inserts the text before it says so or after."""
    session = Session("def f():\n    \n")
    at = Position(1, 4)
    if is_told_first:
        session.retention.accepted("s", URI, at, "return 1 + 2")
    session.insert(at, "return 1 + 2")
    if not is_told_first:
        session.retention.accepted("s", URI, at, "return 1 + 2")
    session.clock.go_on(20)
    session.insert(Position(0, 0), "# more above\n")
    session.delete(Position(2, 12), " + 2")
    session.clock.go_on(600)
    assert session.told == [
        ("s", 15.0, 12, 12), ("s", 30.0, 12, 8), ("s", 120.0, 12, 8), ("s", 300.0, 12, 8),
        ("s", 600.0, 12, 8),
    ]  # fmt: skip
    session.clock.go_on(10_000)
    assert len(session.told) == len(TIMES_S)


def test_parts_are_followed_as_one() -> None:
    """The times count from the last part."""
    session = Session("x = \n")
    session.insert(Position(0, 4), "foo")
    session.retention.accepted("s", URI, Position(0, 4), "foo")
    session.clock.go_on(10)
    session.insert(Position(0, 7), "(1)")
    session.retention.accepted("s", URI, Position(0, 7), "(1)")
    session.clock.go_on(14)
    assert session.told == []
    session.clock.go_on(1)
    assert session.told == [("s", 15.0, 6, 6)]


def test_closed_documents_tell_nothing() -> None:
    """Nor do those that are not known, or in which the text never came to stand."""
    session = Session("x = \n")
    session.insert(Position(0, 4), "foo")
    session.retention.accepted("s", URI, Position(0, 4), "foo")
    session.retention.accepted("t", "file:///other.py", Position(0, 4), "foo")
    session.retention.accepted("u", URI, Position(0, 0), "nowhere")
    session.retention.closed(URI)
    session.clock.go_on(1000)
    assert session.told == []


def test_only_some_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten first."""
    monkeypatch.setattr(retention, "_MAX_FOLLOWED", 2)
    session = Session("")
    for name in "abc":
        session.insert(Position(0, 0), name)
        session.retention.accepted(name, URI, Position(0, 0), name)
    session.clock.go_on(15)
    assert [name for name, *_ in session.told] == ["b", "c"]
    session.retention.close()
    session.clock.go_on(1000)
    assert len(session.told) == 2


@pytest.mark.parametrize("seed", range(100))
def test_sessions_with_a_known_outcome(seed: int) -> None:
    """Suggestions accepted and typed over at random; each character's owner is known."""
    chance = random.Random(seed)
    session = Session("start\n")
    owners = [""] * len("start\n")
    expected: list[tuple[str, float, int, int]] = []
    accepted: list[tuple[str, float, int]] = []

    def position(offset: int) -> Position:
        return end_of(Position(0, 0), session.document.text[:offset])

    def pass_time(seconds: float) -> None:
        end_s = session.clock.now_s + seconds
        due = [(s + t, name, t, n) for name, s, n in accepted for t in TIMES_S]
        for when, name, after_s, n in sorted(due):
            if session.clock.now_s < when <= end_s:
                expected.append((name, after_s, n, owners.count(name)))
        session.clock.go_on(seconds)

    for number in range(25):
        at = chance.randrange(len(owners) + 1)
        if chance.random() < 0.4:
            text = chance.choice(["one(two)", "a\n    b\nc", "x"]) + str(number)
            name = f"s{number}"
            where = position(at)
            session.insert(where, text)
            owners[at:at] = [name] * len(text)
            session.retention.accepted(name, URI, where, text)
            accepted.append((name, session.clock.now_s, len(text)))
        else:
            end = min(len(owners), at + chance.choice([0, 1, 2, 8, 40]))
            gone = session.document.text[at:end]
            text = chance.choice(["", "!", "?\n", "##"])
            if gone and text and (gone[0] == text[0] or gone[-1] == text[-1]):
                continue
            session.type(Edit(position(at), position(end), text, gone))
            owners[at:end] = [""] * len(text)
        pass_time(chance.choice([0.5, 7, 40, 200]))
    pass_time(1000)
    assert sorted(session.told) == sorted(expected)
    assert len(session.told) == len(TIMES_S) * len(accepted)
