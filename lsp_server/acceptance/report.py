"""Counts the events: how many suggestions were shown, accepted, dismissed, and how fast."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from lsp_server.acceptance.events import (
    Accepted,
    Dismissed,
    Event,
    Failed,
    PartiallyAccepted,
    Requested,
    Retained,
    Shown,
    Written,
)

GroupBy = Literal["language", "model", "client"]
GROUPINGS: tuple[GroupBy, ...] = ("language", "model", "client")

# The two-sided 95 % quantile of the normal distribution.
_Z95 = 1.959963984540054
# A suggestion counts as kept while at most a third of it was edited, as published figures have it.
_MOSTLY = 2 / 3


@dataclasses.dataclass(slots=True)
class _Life:
    """What became of one completion id."""

    client: str = ""
    language: str = ""
    model: str = ""
    requested: bool = False
    shown: Shown | None = None
    accepted: bool = False
    dismissed: bool = False
    n_accepted_chars: int = 0
    retained: dict[float, Retained] = dataclasses.field(default_factory=dict)
    failed: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Retention:
    """What is left of accepted suggestions some time after the accept.

    Args:
        after_s: seconds since then.
        n: suggestions that were looked at.
        n_chars: their characters when they were accepted.
        n_kept: those that still stood.
        n_mostly_kept: suggestions of which two thirds and more still stood.
    """

    after_s: float
    n: int
    n_chars: int
    n_kept: int
    n_mostly_kept: int

    def as_json(self) -> dict[str, Any]:
        """The figures under their published names."""
        return {
            "after_s": self.after_s,
            "n": self.n,
            "kept_chars": self.n_kept / self.n_chars if self.n_chars else None,
            "mostly_kept": self.n_mostly_kept / self.n if self.n else None,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """The figures of a set of suggestions.

    ``accepted`` were taken whole; ``partially_accepted`` only in part; ``dismissed`` were turned
    down by a client that says so. The rest of the shown ended nobody knows how.
    """

    requested: int = 0
    shown: int = 0
    shown_assumed: int = 0
    accepted: int = 0
    partially_accepted: int = 0
    dismissed: int = 0
    failed: dict[str, int] = dataclasses.field(default_factory=dict)
    n_accepted_chars: int = 0
    retention: tuple[Retention, ...] = ()
    latencies_ms: tuple[float, ...] = ()
    ttfts_ms: tuple[float, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The figures under their published names; rates and latencies are null without data."""
        ci95 = wilson_interval(self.accepted, self.shown)
        return {
            "requested": self.requested,
            "shown": self.shown,
            "shown_assumed": self.shown_assumed,
            "accepted": self.accepted,
            "partially_accepted": self.partially_accepted,
            "dismissed": self.dismissed,
            "failed": self.failed,
            "acceptance_rate": self.accepted / self.shown if self.shown else None,
            "acceptance_rate_ci95": None if ci95 is None else list(ci95),
            "n_accepted_chars": self.n_accepted_chars,
            "retention": [each.as_json() for each in self.retention],
            "latency_ms": {
                "p50": percentile(self.latencies_ms, 50),
                "p95": percentile(self.latencies_ms, 95),
            },
            "ttft_ms": {
                "p50": percentile(self.ttfts_ms, 50),
                "p95": percentile(self.ttfts_ms, 95),
            },
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """All figures, and the same for each group, the most often shown first."""

    total: Tally
    by: tuple[GroupBy, ...]
    groups: tuple[tuple[tuple[str, ...], Tally], ...]
    n_written_chars: int = 0
    n_written_accepted: int = 0

    @property
    def written_share(self) -> float | None:
        """Accepted characters of all that came into documents; None where that is not known."""
        return self.n_written_accepted / self.n_written_chars if self.n_written_chars else None

    def as_json(self) -> dict[str, Any]:
        """The total's figures with a list of ``groups``, each with its grouping values."""
        return {
            **self.total.as_json(),
            "n_written_chars": self.n_written_chars,
            "written_share": self.written_share,
            "groups": [
                {**dict(zip(self.by, key, strict=True)), **tally.as_json()}
                for key, tally in self.groups
            ],
        }


def summarise(events: Iterable[Event], by: Sequence[GroupBy] = ("language", "model")) -> Report:
    """Count events, each suggestion once.

    An accept or a dismissal counts only with the matching ``Shown`` among the events, so that no
    rate exceeds one where ``events`` begin in the middle of a suggestion's life.

    Args:
        events: in any order.
        by: what to group by.
    """
    events = list(events)
    written = [event for event in events if isinstance(event, Written)]
    lives = _lives(event for event in events if not isinstance(event, Written))
    groups: dict[tuple[str, ...], list[_Life]] = collections.defaultdict(list)
    for life in lives:
        groups[tuple(str(getattr(life, name)) for name in by)].append(life)
    tallies = [(key, _tally(members)) for key, members in groups.items()]
    tallies.sort(key=lambda group: (-group[1].shown, -group[1].requested, group[0]))
    return Report(
        total=_tally(lives),
        by=tuple(by),
        groups=tuple(tallies),
        n_written_chars=sum(event.n_chars for event in written),
        n_written_accepted=sum(event.n_accepted for event in written),
    )


def wilson_interval(n_hits: int, n: int) -> tuple[float, float] | None:
    """The 95 % confidence interval of a proportion; None without trials.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927). Unlike the normal approximation it holds for few trials and extreme rates.
    """
    if n == 0:
        return None
    rate = n_hits / n
    scale = 1 + _Z95**2 / n
    centre = (rate + _Z95**2 / (2 * n)) / scale
    half = _Z95 / scale * math.sqrt(rate * (1 - rate) / n + _Z95**2 / (4 * n**2))
    # At the two ends the exact bound is the end itself; rounding must not step past it.
    low = 0.0 if n_hits == 0 else centre - half
    high = 1.0 if n_hits == n else centre + half
    return low, high


def percentile(values: Sequence[float], p: float) -> float | None:
    """The ``p``-th percentile (0 to 100), interpolated between neighbours; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * p / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _lives(events: Iterable[Event]) -> list[_Life]:
    lives: dict[tuple[str, str], _Life] = collections.defaultdict(_Life)
    for event in events:
        life = lives[event.session, event.completion_id]
        life.client = event.client or life.client
        life.language = event.language or life.language
        life.model = event.model or life.model
        match event:
            case Requested():
                life.requested = True
            case Shown():
                life.shown = event
            case Accepted():
                life.accepted = True
                life.n_accepted_chars = max(life.n_accepted_chars, event.n_chars)
            case PartiallyAccepted():
                life.n_accepted_chars = max(life.n_accepted_chars, event.n_chars)
            case Dismissed():
                life.dismissed = True
            case Retained():
                life.retained[event.after_s] = event
            case Failed():
                life.failed = event.reason
            case _:
                pass
    return list(lives.values())


def _tally(lives: Sequence[_Life]) -> Tally:
    def count(condition: Callable[[_Life], bool]) -> int:
        return sum(1 for life in lives if condition(life))

    shown = [(life, life.shown) for life in lives if life.shown is not None]
    failed = collections.Counter(life.failed for life in lives if life.failed)
    return Tally(
        requested=count(lambda life: life.requested),
        shown=len(shown),
        shown_assumed=sum(1 for _, event in shown if event.evidence == "answered"),
        accepted=sum(1 for life, _ in shown if life.accepted),
        partially_accepted=sum(
            1 for life, _ in shown if life.n_accepted_chars and not life.accepted
        ),
        dismissed=sum(1 for life, _ in shown if life.dismissed and not life.n_accepted_chars),
        failed=dict(sorted(failed.items(), key=lambda pair: (-pair[1], pair[0]))),
        n_accepted_chars=sum(life.n_accepted_chars for life, _ in shown),
        retention=_retention([life for life, _ in shown]),
        latencies_ms=tuple(event.latency_ms for _, event in shown),
        # A suggestion from the cache has no first token to wait for.
        ttfts_ms=tuple(event.ttft_ms for _, event in shown if event.ttft_ms > 0),
    )


def _retention(lives: Sequence[_Life]) -> tuple[Retention, ...]:
    found: dict[float, list[Retained]] = collections.defaultdict(list)
    for life in lives:
        for after_s, event in life.retained.items():
            found[after_s].append(event)
    return tuple(
        Retention(
            after_s=after_s,
            n=len(events),
            n_chars=sum(event.n_chars for event in events),
            n_kept=sum(event.n_kept for event in events),
            n_mostly_kept=sum(event.n_kept >= _MOSTLY * event.n_chars for event in events),
        )
        for after_s, events in sorted(found.items())
    )
