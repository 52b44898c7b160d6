"""Cluster bootstrap over arrays."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from benchmarks.figures import cluster_bootstrap
from benchmarks.resampling import Resamples


def test_share_agrees_with_the_bootstrap_of_lists() -> None:
    """Value and interval are those of drawing whole clusters one by one."""
    chance = random.Random(1)
    pairs = [(f"file{n % 30}", chance.random() < 0.2 + (n % 30) / 60) for n in range(600)]
    expected = cluster_bootstrap(
        pairs, lambda pair: pair[0], lambda drawn: sum(hit for _, hit in drawn) / len(drawn)
    )

    hits = np.array([hit for _, hit in pairs])
    found = Resamples([name for name, _ in pairs]).share(hits, np.ones(len(pairs)))

    assert found.value == pytest.approx(expected.value)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.015)
    assert found.n == expected.n == 600


def test_one_cluster_has_no_interval() -> None:
    """Nothing is known of the spread between clusters where there is one."""
    found = Resamples(["a", "a"]).share(np.array([1.0, 0.0]), np.ones(2))

    assert found.value == 0.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_no_wholes_give_no_value() -> None:
    """A share of nothing is not known."""
    found = Resamples(["a", "b"]).share(np.zeros(2), np.zeros(2))

    assert math.isnan(found.value)
    assert found.n == 0


def test_clusters_without_measurements_are_drawn_too() -> None:
    """Both kinds of measurement of the same clusters get the same resamples."""
    few = Resamples(["b"], seed=3, among=["a", "b", "c"])
    all_of_them = Resamples(["a", "b", "c"], seed=3)

    assert np.array_equal(few.weights, all_of_them.weights)
    assert few.totals(np.ones(1)).tolist() == all_of_them.totals(np.array([0.0, 1, 0])).tolist()


@pytest.mark.parametrize(("share", "expected"), [(0.0, 10), (0.5, 30), (0.75, 40), (1.0, 50)])
def test_percentile(share: float, expected: float) -> None:
    """The least value with that share of the chosen ones at or below it."""
    values = np.array([50.0, 10, 40, 20, 30, 999])
    chosen = np.array([True] * 5 + [False])

    (found,) = Resamples(list("abcabc"), seed=1).percentiles(values, chosen, [share])

    assert found.value == expected
    assert found.low <= found.value <= found.high
    assert found.n == 5


def test_percentile_of_nothing() -> None:
    """No measurements, no percentile."""
    (found,) = Resamples(["a", "b"]).percentiles(np.ones(2), np.zeros(2, dtype=np.bool_), [0.5])

    assert math.isnan(found.value)


def test_the_seed_decides() -> None:
    """Equal seeds give equal intervals, other seeds others."""
    hits = np.array([1.0, 0, 0, 1, 1, 0, 1, 0])
    figures = [Resamples(list("abcdefgh"), seed=s).share(hits, np.ones(8)) for s in (1, 1)]

    assert figures[0] == figures[1]
    assert not np.array_equal(
        Resamples(list("abc"), seed=1).weights, Resamples(list("abc"), seed=2).weights
    )
