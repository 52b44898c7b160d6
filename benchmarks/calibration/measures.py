"""How good probabilities are: how they rank, and whether they mean what they say."""

from __future__ import annotations

import msgspec
import numpy as np

from benchmarks.calibration.data import Decisions
from benchmarks.figures import Figure
from benchmarks.replay.curve import Curve, curve
from benchmarks.resampling import Bools, Floats, Resamples, figure, ratio
from benchmarks.summary import Series
from lsp_server.score.model import threshold

N_BINS = 10
TARGETS = (0.4, 0.5, 0.6, 0.7, 0.8)


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Of one score or model.

    Args:
        name: of it.
        ranking: its coverage curve.
        ece: expected calibration error, over bins with equally many suggestions.
        brier: mean squared error of the probabilities.
        reliability: observed acceptance against the mean probability of each bin.
    """

    name: str
    ranking: Curve
    ece: Figure
    brier: Figure
    reliability: Series


class Thresholded(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown where a share of the shown is to be accepted.

    Args:
        target: that share.
        accepted: accepted / shown.
        shown: shown / suggestions.
        kept: accepted / suggestions that are right.
    """

    target: float
    accepted: Figure
    shown: Figure
    kept: Figure


def thresholded(
    decisions: Decisions, probabilities: Floats, *, seed: int = 0
) -> tuple[Thresholded, ...]:
    """What each of ``TARGETS`` gives; the thresholds know the probabilities, not the outcomes.

    Args:
        decisions: what came of the suggestions.
        probabilities: of an accept, from fits that did not see them; NaN where nothing was shown.
        seed: of the resampling.
    """
    resamples = Resamples(decisions.clusters, seed=seed)
    suggested = decisions.shown
    right = decisions.accepted & suggested
    known = np.where(suggested, probabilities, -1.0)
    found = []
    for target in TARGETS:
        shown = known >= max(0.0, threshold(probabilities[suggested].tolist(), target))
        found.append(
            Thresholded(
                target=target,
                accepted=resamples.share(right & shown, shown),
                shown=resamples.share(shown, suggested),
                kept=resamples.share(right & shown, right),
            )
        )
    return tuple(found)


def quality(
    name: str,
    decisions: Decisions,
    probabilities: Floats,
    *,
    scores: Floats | None = None,
    seed: int = 0,
) -> Quality:
    """Judge probabilities.

    Args:
        name: for display.
        decisions: what came of the suggestions.
        probabilities: of an accept; NaN where nothing was shown.
        scores: what is ranked by, where it is not the probabilities: a score alone needs no fit
            to rank, and the fits of different folds would blur its order.
        seed: of the resampling.
    """
    resamples = Resamples(decisions.clusters, seed=seed)
    shown, accepted = decisions.shown, decisions.accepted
    ranked_by = probabilities if scores is None else scores
    known = np.where(shown, probabilities, 0.0)
    errors = np.where(shown, (known - accepted) ** 2, 0.0)
    bins = _bins(known, shown)
    return Quality(
        name=name,
        ranking=curve(np.where(shown, ranked_by, 0.0), accepted, shown, resamples),
        ece=_calibration_error(known, accepted, bins, resamples),
        brier=resamples.share(errors, shown),
        reliability=_reliability(name, known, accepted, bins, resamples),
    )


def _bins(probabilities: Floats, shown: Bools) -> list[Bools]:
    """Which suggestions are in which bin, the least probable first; equals stay together."""
    edges = np.quantile(probabilities[shown], np.linspace(0, 1, N_BINS + 1)[1:-1])
    place = np.searchsorted(edges, probabilities, side="right")
    found = [shown & (place == number) for number in range(N_BINS)]
    return [which for which in found if which.any()]


def _calibration_error(
    probabilities: Floats, accepted: Bools, bins: list[Bools], resamples: Resamples
) -> Figure:
    gaps = sum(
        np.abs(resamples.totals(np.where(which, probabilities - accepted, 0.0))) for which in bins
    )
    shown = np.any(bins, axis=0)
    return figure(ratio(np.asarray(gaps), resamples.totals(shown)), int(np.count_nonzero(shown)))


def _reliability(
    name: str, probabilities: Floats, accepted: Bools, bins: list[Bools], resamples: Resamples
) -> Series:
    observed = [resamples.share(accepted & which, which) for which in bins]
    return Series(
        name=name,
        x=tuple(float(probabilities[which].mean()) for which in bins),
        y=tuple(share.value for share in observed),
        low=tuple(share.low for share in observed),
        high=tuple(share.high for share in observed),
    )
