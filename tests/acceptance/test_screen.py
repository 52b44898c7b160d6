"""What stands on the screen, and how that ends; whole sessions are in test_sessions.py."""

from __future__ import annotations

import pytest

from lsp_server.acceptance.events import Ending
from lsp_server.acceptance.screen import Screen
from lsp_server.documents import Change, Span, TextDocument
from lsp_server.types import Position
from tests.acceptance.test_retention import Clock

URI = "file:///a.py"


class Desk:
    """A screen with one document, and what ended on it."""

    def __init__(self, text: str = "a = \nb\n") -> None:
        self.clock = Clock()
        self.ended: list[tuple[str, float, int]] = []
        self.screen = Screen(self._note, lambda: self.clock.now_s, self.clock.later)
        self.document = TextDocument(URI, "python", 1, text)

    def _note(self, _name: str, how: Ending, visible_ms: float, _n: int, n_typed: int) -> None:
        self.ended.append((how, visible_ms, n_typed))

    def show(self, text: str, line: int = 0, column: int = 4) -> None:
        """A suggestion."""
        self.screen.show("s", URI, Position(line, column), text, whole=text)

    def edit(self, start: tuple[int, int], end: tuple[int, int], text: str) -> None:
        """An edit of the document."""
        span = Span(
            start_line=start[0], start_character=start[1], end_line=end[0], end_character=end[1]
        )
        edits = self.document.change(2, [Change(text=text, span=span)])
        self.screen.edited(self.document.snapshot(), edits)


def test_brackets_that_the_editor_closes_are_no_other_text() -> None:
    """They are written with the one that opens, and typed over later."""
    desk = Desk()
    desk.show("f(x)")
    desk.edit((0, 4), (0, 4), "f")
    desk.edit((0, 5), (0, 5), "()")
    desk.edit((0, 6), (0, 6), "x")
    assert desk.ended == []
    desk.edit((0, 7), (0, 8), ")")
    desk.clock.go_on(1)
    assert desk.ended == [("typed_through", 0.0, 4)]


def test_line_ends_are_those_of_the_document() -> None:
    """One key writes both characters, with the indentation that the editor adds."""
    desk = Desk("a = \r\nb\r\n")
    desk.show("f(\r\n    x)")
    desk.edit((0, 4), (0, 4), "f(")
    desk.edit((0, 6), (0, 6), "\r\n    ")
    assert desk.ended == []
    desk.edit((1, 4), (1, 4), "y")
    assert desk.ended == [("typed_through", 0.0, 8)]


def test_what_was_typed_may_be_deleted_again() -> None:
    """Up to where the suggestion begins."""
    desk = Desk()
    desk.show("foo")
    desk.edit((0, 4), (0, 4), "f")
    desk.edit((0, 4), (0, 5), "")
    assert desk.ended == []
    desk.edit((0, 3), (0, 4), "")
    assert [how for how, _, _ in desk.ended] == ["typed_over"]


@pytest.mark.parametrize(
    ("line", "how"), [(0, "typed_over"), (1, "superseded")], ids=["same line", "elsewhere"]
)
def test_an_edit_elsewhere_is_no_answer_to_the_suggestion(line: int, how: str) -> None:
    """Only in its own lines something was typed over it."""
    desk = Desk()
    desk.show("foo")
    desk.clock.go_on(0.25)
    desk.edit((line, 0), (line, 0), "x")
    assert desk.ended == [(how, 250.0, 0)]


def test_asking_at_the_same_place_leaves_it() -> None:
    """The answer decides; asking elsewhere means that the cursor has gone."""
    desk = Desk()
    desk.show("foo")
    desk.edit((0, 4), (0, 4), "f")
    desk.screen.requested(URI, Position(0, 5))
    assert desk.ended == []
    desk.screen.requested(URI, Position(1, 0))
    assert desk.ended == [("superseded", 0.0, 1)]


def test_time_stops_when_nothing_is_left_to_show() -> None:
    """Not when it is certain that no accept comes; an accept within that time is one."""
    for is_accept in (False, True):
        desk = Desk()
        desk.show("foo")
        desk.clock.go_on(0.5)
        desk.edit((0, 4), (0, 4), "foo")
        desk.clock.go_on(0.5)
        if is_accept:
            desk.screen.took("s", URI, 3)
            desk.screen.end("s", URI, "accepted")
        desk.clock.go_on(5)
        assert desk.ended == [("accepted", 500.0, 0) if is_accept else ("typed_through", 500.0, 3)]


def test_a_suggestion_that_grows_is_one() -> None:
    """Its length is that of the last text."""
    desk = Desk()
    desk.show("foo")
    desk.show("foo(bar)")
    desk.edit((0, 4), (0, 4), "foo")
    desk.clock.go_on(5)
    assert desk.ended == []


def test_another_document_is_another_screen() -> None:
    """Closing it ends what stands there, and nothing else."""
    desk = Desk()
    desk.show("foo")
    desk.screen.closed("file:///b.py")
    assert desk.ended == []
    desk.screen.close()
    desk.screen.close()
    assert [how for how, _, _ in desk.ended] == ["session_ended"]
