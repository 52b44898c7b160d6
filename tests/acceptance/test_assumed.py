"""How a suggestion was shown is settled before anything else is logged."""

from __future__ import annotations

from lsp_server.acceptance import assumed
from lsp_server.acceptance.assumed import AssumedShown
from lsp_server.acceptance.events import Shown
from tests.acceptance.makers import ListLog, accepted, shown
from tests.acceptance.test_retention import Clock


class Bench:
    """An event log with what is assumed, and a clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told = ListLog()
        self.log = AssumedShown(self.told, self.clock.later)

    @property
    def evidence(self) -> list[tuple[str, str]]:
        """Of what is logged as shown by now."""
        return [(e.completion_id, e.evidence) for e in self.told.events if isinstance(e, Shown)]


def test_what_the_client_says_takes_the_place_of_what_was_assumed() -> None:
    """Once, and for that suggestion alone."""
    bench = Bench()
    bench.log.announced("a")
    bench.log.assume(shown("a", evidence="answered"))
    assert bench.evidence == []
    bench.log.announced("b")
    assert bench.evidence == []
    bench.log.announced("a")
    bench.log.announced("a")
    bench.clock.go_on(10)
    assert bench.evidence == [("a", "client")]


def test_without_a_word_it_stays_an_assumption() -> None:
    """A few seconds later it is logged, with the time at which it happened."""
    bench = Bench()
    bench.log.assume(shown("a", ts=5.0, evidence="answered"))
    bench.clock.go_on(assumed._WAIT_S - 0.1)
    assert bench.evidence == []
    bench.clock.go_on(0.1)
    assert bench.evidence == [("a", "answered")]
    assert bench.told.events[0].ts == 5.0


def test_events_stay_in_order() -> None:
    """What comes next settles what is open, another assumption too."""
    bench = Bench()
    bench.log.assume(shown("a", evidence="answered"))
    bench.log.append(accepted("a"))
    bench.log.assume(shown("b", evidence="answered"))
    bench.log.assume(shown("c", evidence="answered"))
    bench.log.settle()
    bench.log.settle()
    names = [(type(event).__name__, event.completion_id) for event in bench.told.events]
    assert names == [("Shown", "a"), ("Accepted", "a"), ("Shown", "b"), ("Shown", "c")]
