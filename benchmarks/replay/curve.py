"""The coverage curve: how acceptance rises when only the surest suggestions are shown.

Shown are the suggestions with the best scores, as many as a coverage allows; coverage is their
share of all opportunities, those without a suggestion among them. Among equal scores a coverage
that takes only some of them takes a part of each, which is what drawing by chance gives on average.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from benchmarks.figures import Figure
from benchmarks.resampling import Bools, Floats, Resamples, figure, ratio

COVERAGES = (1.0, 0.8, 0.5, 0.3, 0.2, 0.1)
ACCEPTANCES = (0.5, 0.75, 0.9, 0.92)
GRID = tuple(percent / 100 for percent in range(2, 101, 2))
# Resamples that are worked on at once: 250 times 5,000 opportunities are 10 MB an array.
_CHUNK = 250


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A place on the curve.

    Args:
        asked: the coverage or acceptance that was asked for.
        coverage: shown / opportunities.
        acceptance: accepted / shown.
        rocc: characters of accepted suggestions / characters; NaN where not known.
    """

    asked: float
    coverage: Figure
    acceptance: Figure
    rocc: Figure


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """How a score ranks suggestions.

    Args:
        at_coverage: the points at ``COVERAGES``; the first one is everything that was suggested,
            whatever coverage that is.
        at_acceptance: the points of largest coverage with at least ``ACCEPTANCES``; coverage 0
            where no score reaches it.
        grid: acceptance at each coverage of ``GRID``; NaN beyond full coverage.
        aurc: area under the risk-coverage curve: mean, over all shown suggestions, of
            1 − acceptance of those with at least their score (Geifman et al., 2019).
        auc: area under the ROC curve of the score for accepted against not accepted.
    """

    at_coverage: tuple[Point, ...]
    at_acceptance: tuple[Point, ...]
    grid: tuple[Figure, ...]
    aurc: Figure
    auc: Figure


class _Rows(msgspec.Struct, frozen=True):
    """Sums over the surest suggestions, a row a resample, a column a score (best first).

    Args:
        shown: suggestions with at least that score; column 0 is none of them.
        accepted: of these.
        saved: characters of the accepted ones.
        n: opportunities in each resample.
        n_characters: characters in each resample.
    """

    shown: Floats
    accepted: Floats
    saved: Floats
    n: Floats
    n_characters: Floats


def curve(
    scores: Floats,
    accepted: Bools,
    shown: Bools,
    resamples: Resamples,
    *,
    saved: Floats | None = None,
    n_characters: Floats | None = None,
) -> Curve:
    """The curve of a score.

    Args:
        scores: of each opportunity, higher is surer; ignored where nothing is shown.
        accepted: whether it was right.
        shown: whether there is a suggestion.
        resamples: of the opportunities' clusters.
        saved: characters that each accepted suggestion typed.
        n_characters: in the sample and each resample; all that was to be typed.
    """
    saved = np.zeros(len(scores)) if saved is None else saved
    if n_characters is None:
        n_characters = np.zeros(len(resamples.weights))
    pieces = [
        _evaluate(rows)
        for rows in _rows(scores, accepted & shown, shown, resamples, saved, n_characters)
    ]
    found = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    n = int(np.count_nonzero(shown))
    points = [
        [
            Point(
                asked=asked,
                coverage=figure(found[f"{kind} coverage"][:, column], len(scores)),
                acceptance=figure(found[f"{kind} acceptance"][:, column], n),
                rocc=figure(found[f"{kind} rocc"][:, column], len(scores)),
            )
            for column, asked in enumerate(levels)
        ]
        for kind, levels in (("covered", COVERAGES), ("reached", ACCEPTANCES))
    ]
    return Curve(
        at_coverage=tuple(points[0]),
        at_acceptance=tuple(points[1]),
        grid=tuple(figure(column, n) for column in found["grid"].T),
        aurc=figure(found["aurc"], n),
        auc=figure(found["auc"], n),
    )


def auc(scores: Floats, accepted: Bools, resamples: Resamples) -> Figure:
    """Area under the ROC curve: how often an accepted one has the higher score."""
    return curve(scores, accepted, np.ones(len(scores), dtype=np.bool_), resamples).auc


def _rows(
    scores: Floats,
    accepted: Bools,
    shown: Bools,
    resamples: Resamples,
    saved: Floats,
    n_characters: Floats,
) -> Iterator[_Rows]:
    order = np.flatnonzero(shown)
    order = order[np.argsort(-scores[order], kind="stable")]
    ordered = scores[order]
    # Only the last one of equal scores is a place where a threshold can stand.
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if order.size else order
    n = resamples.totals(np.ones(len(scores)))
    for start in range(0, len(resamples.weights), _CHUNK):
        part = slice(start, start + _CHUNK)
        weights = resamples.weights[part][:, resamples.of[order]]
        sums = [
            np.pad(np.cumsum(weights * values, axis=1)[:, last], ((0, 0), (1, 0)))
            for values in (1.0, accepted[order], np.where(accepted, saved, 0.0)[order])
        ]
        n_shown, n_accepted, n_saved = sums
        yield _Rows(n_shown, n_accepted, n_saved, n[part], n_characters[part])


def _evaluate(rows: _Rows) -> dict[str, Floats]:
    total = rows.shown[:, -1]
    places = np.outer(rows.n, COVERAGES[1:])
    covered = np.column_stack([total, np.where(places <= total[:, None], places, np.nan)])
    hits, saved = _between(rows, covered)
    result = {
        "covered coverage": ratio(covered, rows.n[:, None]),
        "covered acceptance": ratio(hits, covered),
        "covered rocc": ratio(saved, rows.n_characters[:, None]),
    }
    reached = np.column_stack([_reached(rows, level) for level in ACCEPTANCES])
    hits, saved = _between(rows, reached)
    result |= {
        "reached coverage": ratio(reached, rows.n[:, None]),
        "reached acceptance": ratio(hits, reached),
        "reached rocc": ratio(saved, rows.n_characters[:, None]),
    }
    grid = np.outer(rows.n, GRID)
    grid[grid > total[:, None] + 1e-9] = np.nan
    result["grid"] = ratio(_between(rows, grid)[0], grid)
    new, new_hits = np.diff(rows.shown, axis=1), np.diff(rows.accepted, axis=1)
    risk = 1 - np.nan_to_num(ratio(rows.accepted, rows.shown), nan=1.0)
    result["aurc"] = ratio((new * risk[:, 1:]).sum(axis=1), total)
    # Each miss is beaten by the hits with better scores and by half of those with its own.
    above = np.cumsum(new_hits, axis=1) - new_hits / 2
    n_hits, n_misses = rows.accepted[:, -1], total - rows.accepted[:, -1]
    result["auc"] = ratio(((new - new_hits) * above).sum(axis=1), n_hits * n_misses)
    return result


def _between(rows: _Rows, places: Floats) -> tuple[Floats, Floats]:
    """Accepted suggestions and their characters among the surest ``places`` ones."""
    pairs = zip(places, rows.shown, rows.accepted, rows.saved, strict=True)
    found = [(np.interp(x, at, hits), np.interp(x, at, saved)) for x, at, hits, saved in pairs]
    return np.array([hits for hits, _ in found]), np.array([saved for _, saved in found])


def _reached(rows: _Rows, level: float) -> Floats:
    """The largest number of surest suggestions of which at least ``level`` are right."""
    good = (rows.accepted >= level * rows.shown - 1e-9) & (rows.shown > 0)
    return np.asarray(np.max(np.where(good, rows.shown, 0.0), axis=1))
