"""Statistics and their intervals."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks import figures


@pytest.mark.parametrize(
    ("n_successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (15, 148, 0.0624, 0.1605),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_wilson_against_published_intervals(
    n_successes: int, n: int, low: float, high: float
) -> None:
    """Wilson intervals are those of the literature (Newcombe 1998 gives the last two)."""
    found = figures.wilson(n_successes, n)
    assert found.value == n_successes / n
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)
    assert found.n == n


def test_wilson_of_nothing() -> None:
    """A share of no cases is unknown instead of an error."""
    found = figures.wilson(0, 0)
    assert math.isnan(found.value)
    assert math.isnan(found.low)
    assert found.n == 0


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.25, 2.0), (0.5, 3.0), (0.9, 4.6), (1.0, 5.0)]
)
def test_percentile(share: float, expected: float) -> None:
    """Percentiles interpolate between the two nearest values, whatever the order."""
    assert figures.percentile([5, 1, 4, 2, 3], share) == pytest.approx(expected)


def test_percentile_of_nothing() -> None:
    """There is no percentile of no values."""
    with pytest.raises(ValueError, match="no values"):
        figures.percentile([], 0.5)


def _mean(values: object) -> float:
    numbers = list(values)  # type: ignore[call-overload]
    return sum(numbers) / len(numbers) if numbers else math.nan


def test_intervals_cover() -> None:
    """Of 60 samples at least 50, but not all, have an interval that holds the true mean."""
    chance = random.Random(3)
    n_covered = 0
    for seed in range(60):
        sample = [chance.gauss(10.0, 2.0) for _ in range(25)]
        found = figures.cluster_bootstrap(sample, lambda v: v, _mean, seed=seed, n_resamples=300)
        n_covered += found.low <= 10.0 <= found.high
    assert 50 <= n_covered < 60


def test_bootstrap_is_repeatable() -> None:
    """One seed gives one interval, another seed another one."""
    values = [float(v * v % 17) for v in range(30)]
    assert figures.bootstrap(values, _mean, 5) == figures.bootstrap(values, _mean, 5)
    assert figures.bootstrap(values, _mean, 5) != figures.bootstrap(values, _mean, 6)


def _mean_second(pairs: object) -> float:
    return _mean([value for _, value in pairs])  # type: ignore[attr-defined]


def test_clusters_widen_the_interval() -> None:
    """Values that are alike within a file say less than as many independent ones."""
    chance = random.Random(1)
    pairs = [(file, offset) for file in range(12) for offset in [chance.gauss(0, 1)] * 10]
    single = figures.bootstrap(pairs, _mean_second)
    clustered = figures.cluster_bootstrap(pairs, lambda pair: pair[0], _mean_second)
    assert clustered.value == single.value
    assert clustered.n == 120
    assert clustered.high - clustered.low > 2 * (single.high - single.low)


def test_single_cluster_has_no_interval() -> None:
    """From one file alone nothing is known of how files differ."""
    found = figures.cluster_bootstrap([1.0, 3.0], lambda _: "file", _mean)
    assert found.value == 2.0
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_undefined_resamples_are_left_out() -> None:
    """Resamples without the statistic do not make the interval undefined."""

    def mean_of_known(values: object) -> float:
        return _mean([v for v in values if v >= 0])  # type: ignore[attr-defined]

    found = figures.cluster_bootstrap([-1.0, 4.0], lambda v: v, mean_of_known)
    assert (found.low, found.high) == (4.0, 4.0)
