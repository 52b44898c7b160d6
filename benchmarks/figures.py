"""Statistics with 95 % confidence intervals."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import msgspec

_N_RESAMPLES = 2000
_Z95 = 1.959963984540054

T = TypeVar("T")


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its interval.

    Args:
        value: the figure.
        low: lower end of the 95 % interval.
        high: upper end.
        n: how many measurements it rests on.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:,.0f} ({self.low:,.0f}–{self.high:,.0f})"


def percentile(values: Sequence[float], share: float) -> float:
    """A percentile by linear interpolation; ``share`` is 0 to 1.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def bootstrap(
    values: Sequence[T], statistic: Callable[[Sequence[T]], float], seed: int = 0
) -> Figure:
    """A statistic of the values with its percentile-bootstrap 95 % interval."""
    chance = random.Random(seed)
    estimates = [statistic(chance.choices(values, k=len(values))) for _ in range(_N_RESAMPLES)]
    return _figure(statistic(values), estimates, len(values))


def cluster_bootstrap(
    values: Sequence[T],
    cluster: Callable[[T], Hashable],
    statistic: Callable[[Sequence[T]], float],
    *,
    seed: int = 0,
    n_resamples: int = _N_RESAMPLES,
) -> Figure:
    """Like ``bootstrap``, but whole clusters (files, developers) are drawn.

    Values of one cluster resemble one another, so drawing single values would give intervals
    that are too narrow.

    Args:
        values: the measurements.
        cluster: which cluster a measurement belongs to.
        statistic: of a list of measurements; NaN for resamples where it is undefined.
        seed: of the resampling.
        n_resamples: how many resamples.
    """
    clusters: dict[Hashable, list[T]] = {}
    for value in values:
        clusters.setdefault(cluster(value), []).append(value)
    groups = list(clusters.values())
    chance = random.Random(seed)
    estimates = [
        statistic([value for group in chance.choices(groups, k=len(groups)) for value in group])
        for _ in range(n_resamples if len(groups) > 1 else 0)
    ]
    return _figure(statistic(values), estimates, len(values))


def wilson(n_successes: int, n: int) -> Figure:
    """A share with its Wilson score interval (E. B. Wilson, 1927)."""
    if n == 0:
        return Figure(value=math.nan, low=math.nan, high=math.nan, n=0)
    share = n_successes / n
    middle = share + _Z95**2 / (2 * n)
    spread = _Z95 * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n * n))
    scale = 1 + _Z95**2 / n
    return Figure(
        value=share,
        low=max(0.0, (middle - spread) / scale),
        high=min(1.0, (middle + spread) / scale),
        n=n,
    )


def _figure(value: float, estimates: Sequence[float], n: int) -> Figure:
    known = [estimate for estimate in estimates if not math.isnan(estimate)]
    if not known:
        return Figure(value=value, low=math.nan, high=math.nan, n=n)
    return Figure(value=value, low=percentile(known, 0.025), high=percentile(known, 0.975), n=n)
