"""Which suggestions are one and the same, and how many are remembered."""

from __future__ import annotations

import msgspec
import pytest

from lsp_server.acceptance.events import Accepted, Ended
from lsp_server.acceptance.suggestions import Suggestions
from tests.acceptance.bench import (
    Bench,
    accepts,
    go_on,
    kinds,
    offer,
    reason,
    start,
    told,
)
from tests.acceptance.makers import completion, request


def test_memory_is_bounded() -> None:
    """The oldest suggestions are forgotten, the newest are not."""
    bench = Bench(max_tracked=10)
    for n in range(50):
        bench.suggest(f"c{n}")
    assert reason(bench.tracker.accepted("c39")) == "unknown_completion"
    assert bench.tracker.accepted("c40") is None
    found = Suggestions(max_tracked=10)
    asked = [request(f"d{n}", uri=f"file:///{n}.py") for n in range(50)]
    for each in asked:
        found.asked(each)
    assert [found.is_newest(each) for each in asked] == [False] * 40 + [True] * 10


def test_after_an_accept_it_is_another_suggestion(bench: Bench) -> None:
    """Undone and suggested again, it may be accepted again."""
    for completion_id in ("c1", "c2"):
        asked = request(completion_id)
        bench.tracker.requested(asked)
        answer = msgspec.structs.replace(completion(completion_id), identity="1:12")
        bench.tracker.answered(answer, asked)
        assert bench.tracker.accepted(completion_id) is None
    assert kinds(bench) == [
        ("Shown", "c1"), ("Accepted", "c1"), ("Shown", "c2"), ("Accepted", "c2"),
    ]  # fmt: skip


def test_what_is_left_of_a_suggestion_is_the_same_one(bench: Bench) -> None:
    """Shown once, accepted once, under the id it had first."""
    start(bench)
    go_on(bench, "c2", "turn a + b")
    go_on(bench, "c3", " a + b")
    bench.tracker.accepted("c3")
    bench.tracker.accepted("c1")
    assert kinds(bench) == [
        ("Shown", "c1"), ("Continued", "c2"), ("Continued", "c3"), ("Accepted", "c1"),
    ]  # fmt: skip
    *_, event, ended = bench.log.events
    assert isinstance(event, Accepted)
    assert event.n_chars == len(" a + b")
    assert isinstance(ended, Ended)
    assert (ended.how, ended.n_chars, ended.n_typed) == ("accepted", 12, len("return"))


def test_another_end_is_another_suggestion(bench: Bench) -> None:
    """So is one of another stream."""
    start(bench)
    go_on(bench, "c2", "turn a", identity="1:8")
    go_on(bench, "c3", "turn a + b", identity="2:12")
    assert kinds(bench) == [("Shown", "c1"), ("Shown", "c2"), ("Shown", "c3")]


def test_a_client_that_announces_shows_it_once(bench: Bench) -> None:
    """However often it says so."""
    bench.tracker.client_announces = True
    start(bench)
    bench.tracker.shown("c1")
    go_on(bench, "c2", "turn a + b")
    bench.tracker.shown("c2")
    bench.tracker.dismissed("c2")
    assert kinds(bench) == [("Shown", "c1"), ("Continued", "c2"), ("Dismissed", "c1")]


# -- alternatives ------------------------------------------------------------------------


def test_alternatives_belong_to_the_one_that_stands_there(bench: Bench) -> None:
    """No request, no second shown; the accept is that of the first, with the text taken."""
    bench.tracker.client_announces = True
    bench.suggest()
    bench.tracker.shown("c1")
    assert offer(bench, "return a + b", "return b") is True
    bench.tracker.shown("again-1")
    assert bench.tracker.accepted("again-1") is None
    assert reason(bench.tracker.accepted("again")) == "already_accepted"
    assert reason(bench.tracker.accepted("c1")) == "already_accepted"
    assert told(bench) == ["Requested c1", "Shown c1", "Continued again-1", "Accepted c1"]
    assert accepts(bench) == [("c1", len("return b"))]


def test_the_first_may_be_taken_after_all(bench: Bench) -> None:
    """By its old id or by its new one, with its own text."""
    bench.tracker.client_announces = True
    for taken in ("c1", "again"):
        bench.log.events.clear()
        bench.suggest()
        bench.tracker.shown("c1")
        offer(bench, "return a + b", "return b")
        for name in ("again-1", taken):
            bench.tracker.shown(name)
        assert bench.tracker.accepted(taken) is None
        assert accepts(bench) == [("c1", len("return a + b"))]


@pytest.mark.parametrize("before", ["nothing", "another version", "accepted"])
def test_alternatives_without_one_that_stands_there_are_asked_for(
    bench: Bench, before: str
) -> None:
    """They are an opportunity of their own then."""
    bench.tracker.client_announces = True
    if before != "nothing":
        bench.suggest()
        bench.tracker.shown("c1")
    if before == "accepted":
        bench.tracker.accepted("c1")
    bench.log.events.clear()
    assert offer(bench, "x", "y", version=2 if before == "another version" else 1) is False
    bench.tracker.shown("again-1")
    bench.tracker.shown("again")
    bench.tracker.dismissed("again")
    assert told(bench) == ["Requested again", "Shown again", "Dismissed again"]


def test_alternatives_of_a_client_that_does_not_announce(bench: Bench) -> None:
    """The first is taken for shown, the others only once they are accepted."""
    offer(bench, "x", "y")
    assert told(bench) == ["Requested again", "Shown again"]
    bench.tracker.accepted("again-1")
    assert told(bench)[2:] == ["Continued again-1", "Accepted again"]


def test_what_is_left_of_an_alternative_is_the_same(bench: Bench) -> None:
    """It is named by its stream, as what is left of any other."""
    bench.tracker.client_announces = True
    bench.suggest()
    bench.tracker.shown("c1")
    place = request("again")
    bench.tracker.asked_again(place)
    other = msgspec.structs.replace(completion("other", "return b"), identity="7:8")
    bench.tracker.offered([completion("again"), other], place)
    bench.tracker.shown("other")
    rest = request("rest", text="def add(a, b):\n    ret", column=7)
    bench.tracker.requested(rest)
    left = msgspec.structs.replace(completion("rest", "urn b"), column=7, identity="7:8")
    bench.tracker.answered(left, rest)
    bench.tracker.shown("rest")
    bench.tracker.accepted("rest")
    assert told(bench)[2:] == [
        "Continued other", "Requested rest", "Continued rest", "Accepted c1",
    ]  # fmt: skip
