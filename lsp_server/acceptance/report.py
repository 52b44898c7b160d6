"""Counts the events: how many suggestions were shown, accepted, dismissed, and how fast."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from lsp_server.acceptance.events import (
    Accepted,
    Dismissed,
    Ended,
    Ending,
    Event,
    Failed,
    PartiallyAccepted,
    Requested,
    Retained,
    Shown,
    Unit,
    Written,
)
from lsp_server.acceptance.history import GLIMPSED_MS, LATENCY_BOUNDS_MS, latency_bucket

GroupBy = Literal["language", "model", "client", "file_kind", "session"]
GROUPINGS: tuple[GroupBy, ...] = ("language", "model", "client", "file_kind", "session")
Outcome = Literal[
    "accepted", "partially_accepted", "dismissed", "typed_through", "typed_over", "superseded",
    "closed", "unknown",
]  # fmt: skip

# The two-sided 95 % quantile of the normal distribution.
_Z95 = 1.959963984540054
# A suggestion counts as kept while at most a third of it was edited, as published figures have it.
_MOSTLY = 2 / 3
# Source: telemetry of a commercial assistant.
READ_MS = 750.0
_CLOSED: tuple[Ending, ...] = ("closed", "session_ended")


@dataclasses.dataclass(slots=True)
class _Life:
    """What became of one completion id."""

    client: str = ""
    language: str = ""
    model: str = ""
    file_kind: str = ""
    session: str = ""
    requested: bool = False
    shown: Shown | None = None
    accepted: bool = False
    dismissed: bool = False
    n_accepted_chars: int = 0
    unit: Unit = "word"
    ended: Ended | None = None
    visible_ms: float = 0.0
    retained: dict[float, Retained] = dataclasses.field(default_factory=dict)
    failed: str = ""

    @property
    def outcome(self) -> Outcome:
        """What the user did with it in the end; taking some of it outweighs all else."""
        if self.accepted:
            return "accepted"
        if self.n_accepted_chars:
            return "partially_accepted"
        if self.ended is not None and self.ended.how == "typed_through":
            return "typed_through"
        if self.dismissed:
            return "dismissed"
        if self.ended is None or self.ended.how in ("accepted", "dismissed"):
            return "unknown"
        return "closed" if self.ended.how in _CLOSED else self.ended.how  # type: ignore[return-value]

    @property
    def is_read(self) -> bool:
        """Whether it stood long enough to be read."""
        return self.visible_ms >= READ_MS

    @property
    def is_glimpsed(self) -> bool:
        """Whether it was superseded before anybody could take it: it counts in no rate."""
        return self.outcome == "superseded" and self.visible_ms < GLIMPSED_MS

    @property
    def is_typed_whole(self) -> bool:
        """Whether all of it was typed by hand."""
        return (
            self.outcome == "typed_through"
            and self.ended is not None
            and self.ended.n_typed >= self.ended.n_chars
        )


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


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """All figures, and the same for each group, the most often shown first."""

    total: Tally
    by: tuple[GroupBy, ...]
    groups: tuple[tuple[tuple[str, ...], Tally], ...]
    n_written_chars: int = 0
    n_written_accepted: int = 0
    n_sessions: int = 0
    latency: tuple[LatencyBucket, ...] = ()

    @property
    def n_human_chars(self) -> int:
        """Characters that came into documents in another way than by accepting."""
        return self.n_written_chars - self.n_written_accepted

    @property
    def written_share(self) -> float | None:
        """Accepted characters of all that came into documents; None where that is not known."""
        return self.n_written_accepted / self.n_written_chars if self.n_written_chars else None

    def as_json(self) -> dict[str, Any]:
        """The total's figures with a list of ``groups``, each with its grouping values."""
        return {
            **self.total.as_json(),
            "sessions": self.n_sessions,
            "n_written_chars": self.n_written_chars,
            "n_human_chars": self.n_human_chars,
            "n_model_chars": self.n_written_accepted,
            "written_share": self.written_share,
            "latency_buckets": [bucket.as_json() for bucket in self.latency],
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
    events = sorted(events, key=lambda event: event.ts)
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
        n_sessions=len({event.session for event in events}),
        latency=_latency(lives),
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
        life.session = event.session
        life.client = event.client or life.client
        life.language = event.language or life.language
        life.model = event.model or life.model
        match event:
            case Requested():
                life.requested = True
                life.file_kind = event.file_kind
            case Shown():
                life.shown = event
            case Accepted():
                life.accepted = True
                life.n_accepted_chars = max(life.n_accepted_chars, event.n_chars)
            case PartiallyAccepted():
                life.n_accepted_chars = max(life.n_accepted_chars, event.n_chars)
                life.unit = "line" if event.unit == "line" else life.unit
            case Dismissed():
                life.dismissed = True
            case Ended():
                life.ended = event
                life.visible_ms += event.visible_ms
            case Retained():
                life.retained[event.after_s] = event
            case Failed():
                life.failed = event.reason
            case _:
                pass
    return list(lives.values())


def _tally(lives: Sequence[_Life]) -> Tally:
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


def _latency(lives: Sequence[_Life]) -> tuple[LatencyBucket, ...]:
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
