"""The figures of a set of suggestions."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from lsp_server.acceptance.events import Retained
from lsp_server.acceptance.history import LATENCY_BOUNDS_MS, latency_bucket
from lsp_server.acceptance.lives import Life

# The two-sided 95 % quantile of the normal distribution.
_Z95 = 1.959963984540054
# A suggestion counts as kept while at most a third of it was edited, as published figures have it.
_MOSTLY = 2 / 3


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
    """The figures of a set of suggestions. Each of the shown has one outcome.

    Args:
        requested: requests.
        shown: suggestions that stood before the user's eyes.
        shown_assumed: those of a client that does not say what it shows.
        glimpsed: those that were superseded within half a second: they count in no rate.
        read: those that stood for three quarters of a second and more.
        read_accepted: those of them that were accepted whole.
        accepted: taken whole.
        partially_accepted: taken in part only: ``accepted_lines`` of them up to the end of a line
            at least once, ``accepted_words`` only by words.
        typed_through: typed by hand: all of it, or (``typed_through_lines``) its first line.
        dismissed: turned down by a client that says so.
        typed_over: something else was typed in its place.
        superseded: the cursor went elsewhere, or something else was shown.
        closed: the document was closed, or the session ended.
        unknown: nobody knows.
        failed: requests without a suggestion, by reason code.
        n_accepted_chars: characters of accepted suggestions.
        n_typed_chars: characters of suggestions that were typed by hand.
        retention: what is left of what was accepted.
        latencies_ms: of the shown.
        ttfts_ms: of the shown that waited for a token.
    """

    requested: int = 0
    shown: int = 0
    shown_assumed: int = 0
    glimpsed: int = 0
    read: int = 0
    read_accepted: int = 0
    accepted: int = 0
    partially_accepted: int = 0
    accepted_lines: int = 0
    accepted_words: int = 0
    typed_through: int = 0
    typed_through_lines: int = 0
    dismissed: int = 0
    typed_over: int = 0
    superseded: int = 0
    closed: int = 0
    unknown: int = 0
    failed: dict[str, int] = dataclasses.field(default_factory=dict)
    n_accepted_chars: int = 0
    n_typed_chars: int = 0
    retention: tuple[Retention, ...] = ()
    latencies_ms: tuple[float, ...] = ()
    ttfts_ms: tuple[float, ...] = ()

    @property
    def counted(self) -> int:
        """The shown that rates are taken of."""
        return self.shown - self.glimpsed

    @property
    def outcomes(self) -> tuple[tuple[str, int], ...]:
        """How many of the shown ended how, in words for people; each is in one of them."""
        return (
            ("accepted whole", self.accepted),
            ("accepted to the end of a line", self.accepted_lines),
            ("accepted by words", self.accepted_words),
            ("typed by hand, all of it", self.typed_through - self.typed_through_lines),
            ("typed by hand, its first line", self.typed_through_lines),
            ("dismissed", self.dismissed),
            ("something else typed", self.typed_over),
            ("superseded", self.superseded),
            ("document closed or session ended", self.closed),
            ("unknown", self.unknown),
        )

    def as_json(self) -> dict[str, Any]:
        """The figures under their published names; rates and latencies are null without data."""
        ci95 = wilson_interval(self.accepted, self.counted)
        return {
            "requested": self.requested,
            "shown": self.shown,
            "shown_assumed": self.shown_assumed,
            "glimpsed": self.glimpsed,
            "read": self.read,
            "accepted": self.accepted,
            "partially_accepted": self.partially_accepted,
            "accepted_lines": self.accepted_lines,
            "accepted_words": self.accepted_words,
            "typed_through": self.typed_through,
            "typed_through_lines": self.typed_through_lines,
            "dismissed": self.dismissed,
            "typed_over": self.typed_over,
            "superseded": self.superseded,
            "closed": self.closed,
            "unknown": self.unknown,
            "failed": self.failed,
            "acceptance_rate": self.accepted / self.counted if self.counted else None,
            "acceptance_rate_ci95": None if ci95 is None else list(ci95),
            "read_acceptance_rate": self.read_accepted / self.read if self.read else None,
            "n_accepted_chars": self.n_accepted_chars,
            "n_typed_chars": self.n_typed_chars,
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
class LatencyBucket:
    """The suggestions that came about as fast.

    Args:
        up_to_ms: upper bound; None for the slowest.
        shown: suggestions.
        accepted: those of them that were accepted whole.
    """

    up_to_ms: float | None
    shown: int
    accepted: int

    def as_json(self) -> dict[str, Any]:
        """The figures under their published names."""
        return {
            "up_to_ms": self.up_to_ms,
            "shown": self.shown,
            "accepted": self.accepted,
            "acceptance_rate": self.accepted / self.shown if self.shown else None,
        }


def tally_of(lives: Sequence[Life]) -> Tally:
    """Count them.

    Args:
        lives: in any order.
    """
    shown = [(life, life.shown) for life in lives if life.shown is not None]
    seen = [life for life, _ in shown]
    failed = collections.Counter(life.failed for life in lives if life.failed)
    outcomes = collections.Counter(life.outcome for life in seen)
    read = [life for life in seen if life.is_read]
    in_part = [life for life in seen if life.outcome == "partially_accepted"]
    by_hand = [life for life in seen if life.outcome == "typed_through"]
    return Tally(
        requested=sum(life.requested for life in lives),
        shown=len(shown),
        shown_assumed=sum(event.evidence == "answered" for _, event in shown),
        glimpsed=sum(life.is_glimpsed for life in seen),
        read=len(read),
        read_accepted=sum(life.accepted for life in read),
        accepted=outcomes["accepted"],
        partially_accepted=len(in_part),
        accepted_lines=sum(life.unit == "line" for life in in_part),
        accepted_words=sum(life.unit == "word" for life in in_part),
        typed_through=len(by_hand),
        typed_through_lines=sum(not life.is_typed_whole for life in by_hand),
        dismissed=outcomes["dismissed"],
        typed_over=outcomes["typed_over"],
        superseded=outcomes["superseded"],
        closed=outcomes["closed"],
        unknown=outcomes["unknown"],
        failed=dict(sorted(failed.items(), key=lambda pair: (-pair[1], pair[0]))),
        n_accepted_chars=sum(life.n_accepted_chars for life in seen),
        n_typed_chars=sum(life.ended.n_typed for life in seen if life.ended is not None),
        retention=_retention(seen),
        latencies_ms=tuple(event.latency_ms for _, event in shown),
        # A suggestion from the cache has no first token to wait for.
        ttfts_ms=tuple(event.ttft_ms for _, event in shown if event.ttft_ms > 0),
    )


def by_latency(lives: Sequence[Life]) -> tuple[LatencyBucket, ...]:
    """Those that counted, by how fast they came.

    Args:
        lives: in any order.
    """
    n_shown = [0] * (len(LATENCY_BOUNDS_MS) + 1)
    n_accepted = [0] * len(n_shown)
    for life in lives:
        if life.shown is not None and not life.is_glimpsed:
            place = latency_bucket(life.shown.latency_ms)
            n_shown[place] += 1
            n_accepted[place] += life.accepted
    return tuple(
        LatencyBucket(bound, *counts)
        for bound, *counts in zip((*LATENCY_BOUNDS_MS, None), n_shown, n_accepted, strict=True)
    )


def _retention(lives: Sequence[Life]) -> tuple[Retention, ...]:
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
