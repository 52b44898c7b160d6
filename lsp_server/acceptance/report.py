"""Counts the events: how many suggestions were shown, accepted, dismissed, and how fast."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from lsp_server.acceptance.events import Event, Written
from lsp_server.acceptance.lives import Life, lives_of
from lsp_server.acceptance.tally import LatencyBucket, Tally, by_latency, tally_of

GroupBy = Literal["language", "model", "client", "file_kind", "session"]
GROUPINGS: tuple[GroupBy, ...] = ("language", "model", "client", "file_kind", "session")


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
    lives = lives_of(event for event in events if not isinstance(event, Written))
    groups: dict[tuple[str, ...], list[Life]] = collections.defaultdict(list)
    for life in lives:
        groups[tuple(str(getattr(life, name)) for name in by)].append(life)
    tallies = [(key, tally_of(members)) for key, members in groups.items()]
    tallies.sort(key=lambda group: (-group[1].shown, -group[1].requested, group[0]))
    return Report(
        total=tally_of(lives),
        by=tuple(by),
        groups=tuple(tallies),
        n_written_chars=sum(event.n_chars for event in written),
        n_written_accepted=sum(event.n_accepted for event in written),
        n_sessions=len({event.session for event in events}),
        latency=by_latency(lives),
    )
