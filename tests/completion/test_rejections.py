"""Suggestions that were turned down."""

from __future__ import annotations

from lsp_server.completion import rejections
from lsp_server.completion.rejections import Rejections

URI = "file:///a.py"


def test_what_was_turned_down_is_known_again() -> None:
    """At its place, also when a part of it was typed; elsewhere and otherwise it is another one."""
    found = Rejections()
    found.made("1", URI, "x = ", "foo(bar)")
    found.rejected("1")
    assert found.holds(URI, "x = ", "foo(bar)", complete=True)
    assert found.holds(URI, "x = fo", "o(bar)", complete=True)
    assert not found.holds(URI, "x = ", "foo(", complete=True)
    assert not found.holds(URI, "y = ", "foo(bar)", complete=True)
    assert not found.holds("file:///b.py", "x = ", "foo(bar)", complete=True)


def test_what_may_become_it_is_held_back() -> None:
    """While it grows; once it says something else it is another one."""
    found = Rejections()
    found.made("1", URI, "x = ", "foo(bar)")
    found.rejected("1")
    assert found.holds(URI, "x = ", "foo(", complete=False)
    assert not found.holds(URI, "x = ", "foo(b2", complete=False)


def test_only_what_was_made_can_be_turned_down() -> None:
    """Once; unknown ids are nothing."""
    found = Rejections()
    found.rejected("?")
    found.made("1", URI, "x = ", "foo")
    assert not found.holds(URI, "x = ", "foo", complete=True)


def test_they_are_forgotten_after_a_while() -> None:
    """And when there are many newer ones."""
    now_s = 0.0
    found = Rejections(lambda: now_s)
    found.made("1", URI, "", "a")
    found.rejected("1")
    now_s = rejections._MAX_AGE_S + 1
    assert not found.holds(URI, "", "a", complete=True)
    for number in range(2 * rejections._MAX_KEPT):
        found.made(f"n{number}", URI, "", f"{number}")
        found.rejected(f"n{number}")
    assert not found.holds(URI, "", "0", complete=True)
    assert found.holds(URI, "", f"{2 * rejections._MAX_KEPT - 1}", complete=True)
