"""How acceptance rises when only the likeliest suggestions are shown, from the user's own log.

Coverage is the share of the suggestions that were made; those that were held back are among them,
and nothing is known of what would have become of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from lsp_server.acceptance.events import Accepted, Event, Failed, PartiallyAccepted, Shown
from lsp_server.acceptance.tally import wilson_interval

COVERAGES = (1.0, 0.8, 0.5, 0.3, 0.2, 0.1)
ACCEPTANCES = (0.5, 0.75, 0.9, 0.92)
# With fewer suggestions a curve says nothing.
N_LEAST = 20

RankedBy = Literal["P(accept)", "mean log-probability"]


class Point(NamedTuple):
    """A place on the curve.

    Args:
        coverage: share of the suggestions that are shown.
        acceptance: share of these that are taken; None where so many were never shown.
        ci95: its 95 % interval.
        n: how many are shown.
        least: score of the least likely one.
    """

    coverage: float
    acceptance: float | None = None
    ci95: tuple[float, float] | None = None
    n: int = 0
    least: float | None = None


class Curve(NamedTuple):
    """Acceptance and coverage against each other.

    Args:
        ranked_by: what the suggestions are ordered by.
        n_made: suggestions that were made.
        n_held_back: of these, not shown.
        now: where the user stands.
        at_coverage: the points at ``COVERAGES``.
        at_acceptance: for each of ``ACCEPTANCES`` the largest coverage at which it is reached;
            coverage 0 where it never is.
        ece: expected calibration error; None where suggestions have no probability.
    """

    ranked_by: RankedBy
    n_made: int
    n_held_back: int
    now: Point
    at_coverage: tuple[Point, ...]
    at_acceptance: tuple[tuple[float, Point], ...]
    ece: float | None

    def as_json(self) -> dict[str, Any]:
        """Its figures by name."""
        return {
            "ranked_by": self.ranked_by,
            "made": self.n_made,
            "held_back": self.n_held_back,
            "now": self.now._asdict(),
            "at_coverage": [point._asdict() for point in self.at_coverage],
            "at_acceptance": [
                {"asked": asked, **point._asdict()} for asked, point in self.at_acceptance
            ],
            "ece": self.ece,
        }


class _Shown(NamedTuple):
    score: float
    accepted: bool


def curve(events: Iterable[Event]) -> Curve | None:
    """The curve of a log; None where too little was shown.

    Suggestions count as taken that were taken at least in part.

    Args:
        events: in any order.
    """
    shown: dict[tuple[str, str], Shown] = {}
    taken: set[tuple[str, str]] = set()
    n_held_back = 0
    for event in events:
        key = event.session, event.completion_id
        match event:
            case Shown():
                shown[key] = event
            case Accepted() | PartiallyAccepted():
                taken.add(key)
            case Failed(reason="low_score"):
                n_held_back += 1
            case _:
                pass
    judged = {key: each for key, each in shown.items() if each.p is not None}
    by_p = len(judged) >= N_LEAST
    chosen = judged if by_p else shown
    if len(chosen) < N_LEAST:
        return None
    ranked = [
        _Shown(each.p if by_p and each.p is not None else each.score, key in taken)
        for key, each in chosen.items()
    ]
    ranked.sort(key=lambda each: -each.score)
    return Curve(
        ranked_by="P(accept)" if by_p else "mean log-probability",
        n_made=len(ranked) + n_held_back,
        n_held_back=n_held_back,
        now=_point(ranked, len(ranked), n_held_back),
        at_coverage=tuple(_covered(ranked, share, n_held_back) for share in COVERAGES),
        at_acceptance=tuple((level, _reached(ranked, level, n_held_back)) for level in ACCEPTANCES),
        ece=calibration_error(ranked) if by_p else None,
    )


def calibration_error(judged: Sequence[tuple[float, bool]], n_bins: int = 10) -> float:
    """How far probabilities are from what is observed, on average.

    Source: the expected calibration error of Naeini et al. (2015), over bins with equally many
    suggestions.

    Args:
        judged: probability and whether it was taken; not empty.
        n_bins: at most so many.
    """
    ordered = sorted(judged, key=lambda each: each[0])
    n, total = len(ordered), 0.0
    for number in range(n_bins):
        part = ordered[n * number // n_bins : n * (number + 1) // n_bins]
        total += abs(sum(p - taken for p, taken in part))
    return total / n


def _point(ranked: Sequence[_Shown], n: int, n_held_back: int) -> Point:
    """The point where the first ``n`` are shown."""
    if not n:
        return Point(0.0)
    n_taken = sum(each.accepted for each in ranked[:n])
    return Point(
        coverage=n / (len(ranked) + n_held_back),
        acceptance=n_taken / n,
        ci95=wilson_interval(n_taken, n),
        n=n,
        least=ranked[n - 1].score,
    )


def _covered(ranked: Sequence[_Shown], share: float, n_held_back: int) -> Point:
    n = round(share * (len(ranked) + n_held_back))
    if n > len(ranked):
        return Point(share)
    return _point(ranked, n, n_held_back)._replace(coverage=share)


def _reached(ranked: Sequence[_Shown], level: float, n_held_back: int) -> Point:
    n_taken = n_best = 0
    for number, each in enumerate(ranked, 1):
        n_taken += each.accepted
        # A threshold cannot stand between equal scores.
        ends = number == len(ranked) or ranked[number].score != each.score
        if ends and n_taken >= level * number:
            n_best = number
    return _point(ranked, n_best, n_held_back)
