"""Suggestions that were turned down."""

from __future__ import annotations

import msgspec
import pytest

from lsp_server.completion import rejections
from lsp_server.completion.rejections import Rejections, neighbourhood
from lsp_server.completion.wording import Wording
from lsp_server.types import CompletionRequest
from tests.completion.serving import request

CLASSES = """\
class Square:
    def area(self):
        {square}

    def name(self):
        return "square"


class Circle:
    def area(self):
        {circle}
"""


FOO_BAR = Wording("foo(bar)", ())


def turned_down(marked: str, text: str, clock: float = 0.0) -> Rejections:
    """One suggestion was, at the mark."""
    found = Rejections(lambda: clock)
    found.made("1", request(marked), text, Wording(text, ()))
    found.rejected("1")
    return found


def holds(found: Rejections, marked: str, text: str, *, complete: bool = True) -> bool:
    """Whether it is held back at the mark, in the same document."""
    return found.holds(request(marked), text, complete=complete)


def test_what_was_turned_down_is_known_again() -> None:
    """At its place, also when a part of it was typed; elsewhere and otherwise it is another one."""
    found = turned_down("x = ‸\n", "foo(bar)")
    assert holds(found, "x = ‸\n", "foo(bar)")
    assert holds(found, "x = fo‸\n", "o(bar)")
    assert not holds(found, "x = ‸\n", "foo(")
    assert not holds(found, "y = ‸\n", "foo(bar)")
    elsewhere = request("x = ‸\n", uri="file:///b.py")
    assert not found.holds(elsewhere, "foo(bar)", complete=True)


def test_what_may_become_it_is_held_back() -> None:
    """While it grows; once it says something else it is another one."""
    found = turned_down("x = ‸\n", "foo(bar)")
    assert holds(found, "x = ‸\n", "foo(", complete=False)
    assert not holds(found, "x = ‸\n", "foo(b2", complete=False)


def test_another_body_that_begins_the_same_is_another_place() -> None:
    """The same words may be good there."""
    found = turned_down(CLASSES.format(square="return ‸", circle="pass"), "self.size")
    assert holds(found, CLASSES.format(square="return ‸", circle="return 1"), "self.size")
    assert not holds(found, CLASSES.format(square="return 1", circle="return ‸"), "self.size")
    assert not holds(found, "def f():\n    return 1\n\n        return ‸\n", "self.size")


def test_a_class_apart_makes_another_place() -> None:
    """Though the nearest lines are the same."""
    body = "    def area(self):\n        a = 1\n        b = 2\n        return ‸\n"
    found = turned_down(f"class Square:\n{body}", "a * b")
    assert holds(found, f"class Square:\n{body}", "a * b")
    assert not holds(found, f"class Circle:\n{body}", "a * b")


METHOD = "class A:\n    n = 1\n\n    def f(self):\n        y = 1\n        x = ‸\n"


@pytest.mark.parametrize(
    "marked",
    [
        f"import os\n\n\n{METHOD}",
        METHOD.replace("    n = 1", "    m = 0\n    n = 1"),
        f"{METHOD}        z = 3\n\n\nB = A()\n",
        METHOD.replace("    def f(self):", "\n    def f(self):   ").replace("y = 1", "y = 1\n\n"),
    ],
    ids=["above", "in the class", "below", "blanks"],
)
def test_what_is_done_elsewhere_changes_nothing(marked: str) -> None:
    """Lines may come and go in the rest of the file, and blank ones everywhere."""
    assert holds(turned_down(METHOD, "y + 1"), marked, "y + 1")


@pytest.mark.parametrize(
    "marked",
    [
        METHOD.replace("y = 1", "y = 2"),
        METHOD.replace("(self)", "(self, m)"),
        METHOD.replace("y = 1", "y = 1\n        z = 0"),
        METHOD.replace("class A", "class B"),
    ],
)
def test_it_ends_where_the_lines_above_change(marked: str) -> None:
    """They are what the suggestion was made of."""
    assert not holds(turned_down(METHOD, "y + 1"), marked, "y + 1")


def test_it_ends_where_the_user_asks_for_it() -> None:
    """What was asked for is shown then, and does not go again with the next key."""
    found = turned_down("x = ‸\n", "foo(bar)")
    invoked = msgspec.structs.replace(request("x = ‸\n"), trigger="invoked")
    assert not found.holds(invoked, "foo(bar)", complete=True)
    assert holds(found, "x = ‸\n", "foo(bar)")
    found.made("2", invoked, "foo(bar)", FOO_BAR)
    assert not holds(found, "x = f‸\n", "oo(bar)")
    found.rejected("2")
    assert holds(found, "x = ‸\n", "foo(bar)")


def test_only_what_was_made_can_be_turned_down() -> None:
    """Once; unknown ids are nothing."""
    found = Rejections()
    found.rejected("?")
    found.made("1", request("x = ‸\n"), "foo", FOO_BAR)
    assert not holds(found, "x = ‸\n", "foo")


def test_what_was_turned_down_at_a_place_is_told() -> None:
    """All that goes on as what was typed does; who asks by hand gets what the model says."""
    found = turned_down("x = ‸\n", "foo(bar)")
    found.made("2", request("x = ‸\n"), "fob", Wording("fob", ()))
    found.rejected("2")

    def texts(marked: str) -> list[str]:
        return [wording.raw for wording in found.wordings(request(marked))]

    assert texts("x = ‸\n") == ["foo(bar)", "fob"]
    assert texts("x = foo‸\n") == ["(bar)"]
    assert texts("x = bar‸\n") == texts("z\nx = ‸\n") == []
    assert not found.wordings(msgspec.structs.replace(request("x = ‸\n"), trigger="invoked"))


def test_they_are_forgotten_after_a_while() -> None:
    """And when there are many newer ones."""
    now_s = 0.0
    found = Rejections(lambda: now_s)
    found.made("1", request("‸"), "a", FOO_BAR)
    found.rejected("1")
    now_s = rejections._MAX_AGE_S + 1
    assert not holds(found, "‸", "a")
    for number in range(2 * rejections._MAX_KEPT):
        found.made(f"n{number}", request("‸"), f"{number}", FOO_BAR)
        found.rejected(f"n{number}")
    assert not holds(found, "‸", "0")
    assert holds(found, "‸", f"{2 * rejections._MAX_KEPT - 1}")


def around(marked: str) -> tuple[str, ...]:
    """The neighbourhood of the mark."""
    where: CompletionRequest = request(marked)
    return neighbourhood(where.snapshot, where.line)


def test_a_neighbourhood_is_the_nearest_lines_and_the_headers() -> None:
    """From the nearest up; in any language that is indented."""
    assert around("‸") == ("",)
    assert around("a\n\nb\r\nc\nd\n‸") == ("d", "c", "b", "")
    assert around(
        "class A {\n  int n;\n\n  void f() {\n    if (n) {\n      g();\n    }\n    h();\n    i();\n"
        "    j();\n    ‸\n  }\n}\n"
    ) == ("    j();", "    i();", "    h();", "", "  void f() {", "class A {")
    assert around("import a\ndef f():\n\tif x:\n\t\ta()\n\n\t‸") == (
        *("\t\ta()", "\tif x:"),
        *("", "def f():"),
    )


def test_it_is_looked_for_in_a_part_of_a_long_file() -> None:
    """However long a body is."""
    text = "def f():\n" + "    x = 1\n" * (rejections._MAX_LINES_UP + 10) + "    ‸"
    assert around(text) == ("    x = 1", "    x = 1", "    x = 1", "")
