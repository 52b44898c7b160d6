"""Cluster bootstrap over arrays: as ``figures.cluster_bootstrap``, for thousands of opportunities.

A resample draws as many clusters as there are, with replacement; it is kept as how often each
cluster was drawn, so that a statistic of all resamples is a product of matrices.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure

N_RESAMPLES = 2000

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]


class Resamples:
    """Resamples of clusters.

    Args:
        clusters: the cluster of each measurement.
        seed: of the resampling; equal seeds and numbers of clusters draw alike.
        n_resamples: how many.
        among: all clusters there are, where some may have no measurement.
    """

    def __init__(
        self,
        clusters: Sequence[Hashable],
        *,
        seed: int = 0,
        n_resamples: int = N_RESAMPLES,
        among: Sequence[Hashable] = (),
    ) -> None:
        numbers: dict[Hashable, int] = {key: n for n, key in enumerate(dict.fromkeys(among))}
        self.of = np.array(
            [numbers.setdefault(key, len(numbers)) for key in clusters], dtype=np.intp
        )
        self.n_clusters = n_clusters = len(numbers)
        # The first row is the sample itself. One cluster alone says nothing of the spread.
        self.weights: Floats = np.ones((1, n_clusters))
        if n_clusters > 1:
            chance = np.random.default_rng(seed)
            shares = np.full(n_clusters, 1 / n_clusters)
            drawn = chance.multinomial(n_clusters, shares, size=n_resamples)
            self.weights = np.vstack([self.weights, drawn.astype(np.float64)])

    def totals(self, values: Floats | Bools) -> Floats:
        """The sum of the values in the sample and in each resample."""
        sums = np.bincount(self.of, weights=values.astype(np.float64), minlength=self.n_clusters)
        return np.asarray(self.weights @ sums)

    def share(self, parts: Floats | Bools, wholes: Floats | Bools) -> Figure:
        """Sum of the parts / sum of the wholes; ``n`` is the number of wholes that are not 0."""
        return figure(ratio(self.totals(parts), self.totals(wholes)), int(np.count_nonzero(wholes)))

    def mean(self, values: Floats, which: Bools) -> Figure:
        """The mean of some of the values."""
        return self.share(np.where(which, values, 0.0), which)

    def percentiles(
        self, values: Floats, which: Bools, shares: Sequence[float]
    ) -> tuple[Figure, ...]:
        """Percentiles of some of the values: the least one with that share at or below it."""
        chosen = np.flatnonzero(which)
        if chosen.size == 0:
            return (Figure(value=math.nan, low=math.nan, high=math.nan, n=0),) * len(shares)
        chosen = chosen[np.argsort(values[chosen], kind="stable")]
        ordered, of = values[chosen], self.of[chosen]
        estimates = np.full((len(self.weights), len(shares)), np.nan)
        for row, weights in enumerate(self.weights):
            below = np.cumsum(weights[of])
            if below[-1] > 0:
                # Sums of whole numbers, so a little less than the share guards against rounding;
                # at share 0 the first value that was drawn counts.
                wanted = np.maximum(np.multiply(shares, below[-1]), 0.5) - 1e-9
                estimates[row] = ordered[np.searchsorted(below, wanted)]
        return tuple(figure(column, chosen.size) for column in estimates.T)


def figure(estimates: Floats, n: int) -> Figure:
    """The figure of a sample (first) and its resamples; resamples without a value are left out."""
    known = estimates[1:][~np.isnan(estimates[1:])]
    low, high = np.percentile(known, [2.5, 97.5]) if known.size else (math.nan, math.nan)
    value = float(estimates[0])
    if math.isnan(value):
        low = high = math.nan
    return Figure(value=value, low=float(low), high=float(high), n=n)


def ratio(parts: Floats, wholes: Floats) -> Floats:
    """Parts / wholes; NaN where there is no whole."""
    result = np.full(np.broadcast_shapes(parts.shape, wholes.shape), np.nan)
    np.divide(parts, wholes, out=result, where=wholes > 0)
    return result
