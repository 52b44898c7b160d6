"""The page with charts."""

from __future__ import annotations

import datetime
import re
from html.parser import HTMLParser
from typing import Any

import msgspec

from lsp_server.acceptance.coverage import curve
from lsp_server.acceptance.events import Ended, Ending, Event, Failed, Retained, Written
from lsp_server.acceptance.history import LATENCY_BOUNDS_MS, days, latency_counts
from lsp_server.acceptance.page import page
from lsp_server.acceptance.report import summarise
from tests.acceptance.makers import accepted, requested, shown

MADE = datetime.datetime(2026, 3, 4, 12, 0)
COMMON: dict[str, Any] = {"session": "s1", "language": "python", "model": "0.5b"}


def at(event: Event, day: int) -> Event:
    """The event on a day of March."""
    moment = datetime.datetime(2026, 3, day, 12, 0)
    return msgspec.structs.replace(event, ts=moment.timestamp())


EVENTS: list[Event] = [
    at(shown("a"), 1), at(accepted("a"), 1), at(shown("b"), 1),
    at(shown("c"), 3), at(accepted("c"), 4),
    at(Written(**COMMON, ts=0, completion_id="", n_chars=90, n_accepted=24), 3),
    at(Retained(**COMMON, ts=0, completion_id="a", n_chars=12, n_kept=9, after_s=120.0), 1),
    at(Failed(**COMMON, ts=0, completion_id="d", reason="<script>"), 2),
]  # fmt: skip


class Checker(HTMLParser):
    """Finds tags that are not closed, and anything that would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "line", "rect", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It must be the one that was opened last."""
        if tag not in ("line", "rect"):
            assert self.open.pop() == tag


def test_days_are_whole_and_without_gaps() -> None:
    """An accept counts on the day on which its suggestion was shown."""
    found = days(EVENTS)
    assert [(d.date.day, d.n_shown, d.n_accepted, d.n_chars) for d in found] == [
        (1, 2, 1, 0), (2, 0, 0, 0), (3, 1, 1, 90), (4, 0, 0, 0),
    ]  # fmt: skip
    assert [d.rate for d in found] == [0.5, None, 1.0, None]
    assert [d.date.day for d in days(EVENTS, last=2)] == [3, 4]
    assert days([]) == []


def test_latencies_fall_into_buckets() -> None:
    """A bound belongs to its bucket; the last has none."""
    counts = latency_counts([10, 50, 51, 3200, 99_999])
    assert counts[0] == 2
    assert counts[1] == 1
    assert counts[-2:] == [1, 1]
    assert len(counts) == len(LATENCY_BOUNDS_MS) + 1


def test_the_page_stands_alone_and_is_well_formed() -> None:
    """Nothing is fetched, nothing is run, and what the log holds is text."""
    text = page(summarise(EVENTS), days(EVENTS), since="1 March", made=MADE)
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert checker.fetched == []
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_says_what_the_table_says() -> None:
    """Rate, characters, what is kept, and each day."""
    text = page(summarise(EVENTS), days(EVENTS), since="", made=MADE)
    cards = re.findall(r'<div class="card"><b>([^<]*)</b>', text)
    assert cards[:4] == ["67%", "3", "27%", "75%"]
    assert "2026-03-01: 2 shown, 1 accepted" in text
    assert "python · 0.5b" in text


def test_the_page_says_how_suggestions_ended() -> None:
    """With a bar for each outcome and reason, the longest one full; those of no rate are told."""
    events = [*EVENTS, at(shown("e"), 2)]
    endings: list[tuple[str, Ending, int]] = [("b", "typed_through", 12), ("e", "superseded", 0)]
    for name, how, n in endings:
        ending = Ended(
            **COMMON, ts=0, completion_id=name, how=how, visible_ms=100, n_chars=12, n_typed=n
        )
        events.append(at(ending, 2))
    text = page(summarise(events), days(events), since="", made=MADE)
    assert "<td>accepted whole</td><td>2</td>" in text
    assert "<td>typed by hand, all of it</td><td>1</td>" in text
    assert 'style="width:100.0%"' in text
    assert 'style="width:50.0%"' in text
    assert "1 that was superseded within half a second is left out" in text
    assert "2026-03-03: 90 written, 24 of suggestions" in text
    assert "2026-03-02: 0 shown, 0 accepted" in text
    checker = Checker()
    checker.feed(text)
    assert checker.open == []


def test_the_page_shows_the_coverage_curve() -> None:
    """A bar for each coverage, where acceptances are reached, and where the user stands."""
    events: list[Event] = []
    for number in range(30):
        events.append(msgspec.structs.replace(shown(str(number)), p=1 - number / 40))
        if number < 15:
            events.append(accepted(str(number)))
    text = page(summarise(events), days(events), curve(events), since="", made=MADE)
    assert "Acceptance against coverage" in text
    assert "50% shown: 100% accepted" in text
    assert "You stand at 100% coverage with 50%" in text
    checker = Checker()
    checker.feed(text)
    assert checker.open == []


def test_an_empty_log_makes_a_page() -> None:
    """Without charts, and with what to do."""
    text = page(summarise([]), [], since="", made=MADE)
    assert "<svg" not in text
    assert "midfill model fetch" in text
    checker = Checker()
    checker.feed(text)
    assert checker.open == []


def test_a_log_without_anything_shown_says_why() -> None:
    """No empty charts and tables: how many were asked for, and the reasons."""
    events: list[Event] = [
        requested("a"),
        Failed(**COMMON, ts=1000, completion_id="a", reason="model_not_fetched"),
    ]
    text = page(summarise(events), days(events), since="", made=MADE)
    assert "None was shown yet, of 1 asked for." in text
    assert "model_<wbr>not_<wbr>fetched" in text
    assert "<svg" not in text
    assert 'class="card"' not in text
