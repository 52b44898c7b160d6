"""Where the user was."""

from __future__ import annotations

from lsp_server.workspace.visits import Visits


def places(visits: Visits) -> list[tuple[str, int, int, bool]]:
    """All of them, newest first."""
    return [(v.path, v.first_line, v.last_line, v.edited) for v in visits.newest_first]


def test_typing_on_is_one_visit() -> None:
    """Edits near each other grow together and come to the front."""
    visits = Visits()
    visits.edited("a.py", 10, 10)
    visits.edited("b.py", 1, 1)
    visits.edited("a.py", 12, 13)
    assert places(visits) == [("a.py", 10, 13, True), ("b.py", 1, 1, True)]


def test_far_edits_are_two_visits() -> None:
    """And a place does not grow without end."""
    visits = Visits()
    visits.edited("a.py", 10, 10)
    visits.edited("a.py", 100, 100)
    assert len(places(visits)) == 2
    for line in range(200, 300):
        visits.edited("a.py", line, line)
    assert all(last - first < 40 for _, first, last, _ in places(visits))


def test_looks_do_not_hide_edits() -> None:
    """Where an edit is known a look adds nothing."""
    visits = Visits()
    visits.edited("a.py", 10, 14)
    visits.looked("a.py", 12)
    visits.looked("a.py", 50)
    assert places(visits) == [("a.py", 46, 54, False), ("a.py", 10, 14, True)]


def test_old_visits_are_forgotten() -> None:
    """A dozen is enough."""
    visits = Visits()
    for number in range(20):
        visits.edited(f"{number}.py", 1, 1)
    assert len(places(visits)) == 12
    assert places(visits)[0][0] == "19.py"
