"""The figures of each day, and how latencies are spread."""

from __future__ import annotations

import bisect
import datetime
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lsp_server.acceptance.events import Accepted, Ended, Event, PartiallyAccepted, Shown, Written

# Upper bounds in milliseconds; the last bucket has none.
LATENCY_BOUNDS_MS = (50.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0)
# What was superseded sooner nobody could take: it counts in no rate.
# Source: telemetry of a commercial assistant.
GLIMPSED_MS = 500.0


class Day(NamedTuple):
    """One day, by the clock on the wall.

    Args:
        date: the day.
        n_shown: suggestions that were shown, but for those that were superseded at once.
        n_accepted: those of them that were accepted whole, whenever that was.
        n_chars: characters that came into documents.
        n_accepted_chars: those of accepted suggestions.
    """

    date: datetime.date
    n_shown: int
    n_accepted: int
    n_chars: int
    n_accepted_chars: int

    @property
    def rate(self) -> float | None:
        """Accepted of the shown; None where nothing was shown."""
        return self.n_accepted / self.n_shown if self.n_shown else None


def days(events: Iterable[Event], *, last: int = 60) -> list[Day]:
    """Each day from the first with events to the last one, empty ones too.

    Args:
        events: in any order.
        last: at most so many days, the newest.
    """
    shown: dict[tuple[str, str], datetime.date] = {}
    accepted: set[tuple[str, str]] = set()
    partly: set[tuple[str, str]] = set()
    visible_ms: dict[tuple[str, str], float] = defaultdict(float)
    how: dict[tuple[str, str], str] = {}
    written: dict[datetime.date, tuple[int, int]] = defaultdict(lambda: (0, 0))
    dates: set[datetime.date] = set()
    for event in events:
        date = datetime.datetime.fromtimestamp(event.ts).date()
        key = event.session, event.completion_id
        match event:
            case Shown():
                shown[key] = date
            case Accepted():
                accepted.add(key)
            case PartiallyAccepted():
                partly.add(key)
                continue
            case Ended():
                visible_ms[key] += event.visible_ms
                how[key] = event.how
                continue
            case Written():
                n_chars, n_accepted = written[date]
                written[date] = (n_chars + event.n_chars, n_accepted + event.n_accepted)
            case _:
                continue
        dates.add(date)
    if not dates:
        return []
    for key, ending in how.items():
        is_taken = key in accepted or key in partly
        if ending == "superseded" and visible_ms[key] < GLIMPSED_MS and not is_taken:
            shown.pop(key, None)
    end = max(dates)
    start = max(min(dates), end - datetime.timedelta(days=last - 1))
    found = []
    for number in range((end - start).days + 1):
        date = start + datetime.timedelta(days=number)
        keys = [key for key, day in shown.items() if day == date]
        n_accepted = sum(key in accepted for key in keys)
        found.append(Day(date, len(keys), n_accepted, *written.get(date, (0, 0))))
    return found


def latency_bucket(latency_ms: float) -> int:
    """Which bucket of LATENCY_BOUNDS_MS a latency lies in; the number of bounds for the last."""
    return bisect.bisect_left(LATENCY_BOUNDS_MS, latency_ms)


def latency_counts(latencies_ms: Sequence[float]) -> list[int]:
    """How many lie in each bucket of LATENCY_BOUNDS_MS, the one without a bound last."""
    counts = [0] * (len(LATENCY_BOUNDS_MS) + 1)
    for latency in latencies_ms:
        counts[latency_bucket(latency)] += 1
    return counts
