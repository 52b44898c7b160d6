"""What became of the last suggestions."""

from __future__ import annotations

from lsp_server.score.history import History

URI = "file:///a.py"


class Clock:
    """Seconds, set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def outcomes(history: History) -> list[bool]:
    """The newest first."""
    return [past.accepted for past in history.past(URI, 0)]


def test_accepts_and_dismissals() -> None:
    """Each counts once, whatever is told later."""
    history = History(Clock())
    history.made("a", URI, 3, "text")
    history.accepted("a")
    history.dismissed("a")
    history.made("b", URI, 4, "text")
    history.dismissed("b")
    history.accepted("unknown")
    assert outcomes(history) == [False, True]


def test_what_was_overtaken_counts_if_it_could_be_read() -> None:
    """Less than three quarters of a second is no time to turn something down."""
    clock = Clock()
    history = History(clock)
    history.made("a", URI, 0, "one")
    clock.now_s = 0.5
    history.made("b", URI, 0, "two")
    assert outcomes(history) == []
    clock.now_s = 2.0
    history.made("c", URI, 0, "three")
    assert outcomes(history) == [False]


def test_what_is_left_of_a_suggestion_is_the_same_one() -> None:
    """Typing along does not turn it down, and it counts from when it was made first."""
    clock = Clock()
    history = History(clock)
    for number, name in enumerate("abc"):
        clock.now_s = float(number)
        history.made(name, URI, 0, "text", identity="1:4")
    assert outcomes(history) == []
    history.accepted("c")
    assert outcomes(history) == [True]


def test_where_and_how_long_ago() -> None:
    """The line is compared with the cursor's, the age counted from the outcome."""
    clock = Clock()
    history = History(clock)
    history.made("a", URI, 7, "text", p=0.25)
    history.dismissed("a")
    clock.now_s = 60.0
    (here,) = history.past(URI, 7)
    (there,) = history.past("file:///b.py", 7)
    assert (here.same_line, here.age_s, here.n_chars, here.p) == (True, 60.0, 4, 0.25)
    assert not there.same_line


def test_only_the_last_ones_are_kept() -> None:
    """Twenty say enough."""
    history = History(Clock())
    for number in range(30):
        history.made(str(number), URI, 0, "x")
        history.accepted(str(number))
    assert len(outcomes(history)) == 20
