"""The coverage curve."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from benchmarks.extras import needed
from benchmarks.replay.curve import Curve, auc, curve
from benchmarks.resampling import Resamples

with needed("The tests"):
    from sklearn.metrics import roc_auc_score

NAMES = list("aabbccddee")


def small(**changes: object) -> Curve:
    """Ten opportunities, eight shown; the five surest of them are right but for the third."""
    scores = np.array([9.0, 8, 7, 6, 5, 4, 3, 2, 99, 99])
    accepted = np.array([1, 1, 0, 1, 1, 0, 0, 0, 1, 1], dtype=np.bool_)
    shown = np.array([1] * 8 + [0] * 2, dtype=np.bool_)
    return curve(scores, accepted, shown, Resamples(NAMES), **changes)  # type: ignore[arg-type]


def test_acceptance_at_a_coverage() -> None:
    """The surest suggestions are taken, up to the coverage; all of them stand first."""
    points = {point.asked: point for point in small().at_coverage}

    assert points[1.0].coverage.value == pytest.approx(0.8)
    assert points[1.0].acceptance.value == pytest.approx(4 / 8)
    assert points[0.5].acceptance.value == pytest.approx(4 / 5)
    assert points[0.3].acceptance.value == pytest.approx(2 / 3)
    assert points[0.1].acceptance.value == 1


def test_coverage_at_an_acceptance() -> None:
    """The largest coverage counts, even if acceptance was lower in between."""
    reached = {point.asked: point.coverage.value for point in small().at_acceptance}

    assert reached == pytest.approx({0.5: 0.8, 0.75: 0.5, 0.9: 0.2, 0.92: 0.2})


def test_coverage_beyond_what_was_suggested_is_not_known() -> None:
    """Nobody can show more than there is."""
    shown = np.array([1] * 4 + [0] * 6, dtype=np.bool_)
    found = curve(np.arange(10.0), shown, shown, Resamples(NAMES))

    points = {point.asked: point.acceptance.value for point in found.at_coverage}
    assert math.isnan(points[0.8])
    assert points[0.3] == 1


def test_aurc() -> None:
    """The mean risk over all shown suggestions."""
    risks = [0, 0, 1 / 3, 1 / 4, 1 / 5, 2 / 6, 3 / 7, 4 / 8]

    assert small().aurc.value == pytest.approx(sum(risks) / 8)


def test_rocc_beside_each_point() -> None:
    """Characters of the accepted suggestions that are shown, of all."""
    resamples = Resamples(NAMES)
    found = small(saved=np.full(10, 12.0), n_characters=resamples.totals(np.full(10, 20.0)))

    points = {point.asked: point.rocc.value for point in found.at_coverage}
    assert points[1.0] == pytest.approx(4 * 12 / 200)
    assert points[0.5] == pytest.approx(4 * 12 / 200)
    assert points[0.3] == pytest.approx(2 * 12 / 200)


def test_rocc_is_unknown_without_characters() -> None:
    """Decisions of humans come without what they typed."""
    assert math.isnan(small().at_coverage[0].rocc.value)


def test_equal_scores_are_taken_in_part() -> None:
    """Among equal scores a coverage takes what chance would give on average."""
    accepted = np.array([1, 0, 1, 0, 1, 0, 1, 0, 1, 0], dtype=np.bool_)
    everything = np.ones(10, dtype=np.bool_)
    found = curve(np.zeros(10), accepted, everything, Resamples(NAMES))

    assert {point.acceptance.value for point in found.at_coverage} == {0.5}
    assert found.auc.value == 0.5


def test_auc_agrees_with_scikit_learn() -> None:
    """Ties count half; the interval holds the value."""
    chance = random.Random(2)
    scores = np.array([float(chance.randrange(12)) for _ in range(300)])
    accepted = np.array([chance.random() < score / 14 for score in scores])
    found = auc(scores, accepted, Resamples([f"file{n % 20}" for n in range(300)]))

    assert found.value == pytest.approx(roc_auc_score(accepted, scores))
    assert found.low < found.value < found.high


def test_nothing_shown() -> None:
    """Without a suggestion nothing is known but the coverage."""
    none = np.zeros(10, dtype=np.bool_)
    found = curve(np.zeros(10), none, none, Resamples(NAMES))

    assert found.at_coverage[0].coverage.value == 0
    assert math.isnan(found.at_coverage[0].acceptance.value)
    assert math.isnan(found.auc.value)
    assert math.isnan(found.aurc.value)
    assert found.at_acceptance[0].coverage.value == 0


def test_the_grid_has_intervals() -> None:
    """Between clusters that differ the band is wide."""
    found = small()

    known = [point for point in found.grid if not math.isnan(point.value)]
    assert len(known) == 40
    assert any(point.low < point.value < point.high for point in known)
