"""Fits a logistic in plain Python: of a corpus, and of the user's own decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import NamedTuple

from lsp_server.score.model import sigmoid

_MAX_ROUNDS = 500
_TOLERANCE = 1e-7


class Prior(NamedTuple):
    """What a coefficient is thought to be before the data.

    Args:
        mean: of it.
        precision: 1 / variance; 0 leaves it free.
    """

    mean: float = 0.0
    precision: float = 0.0


def logistic(
    columns: Sequence[Sequence[float]],
    outcomes: Sequence[bool],
    priors: Sequence[Prior],
    weights: Sequence[float] | None = None,
) -> list[float]:
    """The likeliest coefficients, given normal priors (a ridge where their means are 0).

    Each round goes to the top of a parabola that lies below the likelihood everywhere, so that
    it always rises and one matrix is factored for all rounds.

    Source: Böhning and Lindsay, Monotonicity of quadratic-approximation algorithms, 1988.

    Args:
        columns: features, shape (n_features, n_rows); one of ones for a bias.
        outcomes: shape (n_rows,).
        priors: of each coefficient, shape (n_features,).
        weights: of each row; None weighs all alike.

    Returns:
        Coefficients, shape (n_features,).
    """
    weigh = list(weights) if weights is not None else [1.0] * len(outcomes)
    wanted = [float(outcome) for outcome in outcomes]
    factor = _cholesky(_bound(columns, weigh, priors))
    found = [prior.mean for prior in priors]
    for _ in range(_MAX_ROUNDS):
        logits = [0.0] * len(wanted)
        for value, column in zip(found, columns, strict=True):
            if value:
                logits = [logit + value * x for logit, x in zip(logits, column, strict=True)]
        errors = [
            weight * (outcome - sigmoid(logit))
            for weight, outcome, logit in zip(weigh, wanted, logits, strict=True)
        ]
        slope = [
            sum(map(mul, column, errors)) - prior.precision * (value - prior.mean)
            for column, prior, value in zip(columns, priors, found, strict=True)
        ]
        step = _solve(factor, slope)
        found = [value + change for value, change in zip(found, step, strict=True)]
        if max(map(abs, step), default=0.0) < _TOLERANCE:
            break
    return found


def _bound(
    columns: Sequence[Sequence[float]], weights: Sequence[float], priors: Sequence[Prior]
) -> list[list[float]]:
    """A matrix that is above the curvature everywhere: ¼ XᵀX and the priors."""
    weighted = [list(map(mul, column, weights)) for column in columns]
    matrix = [
        [0.25 * sum(map(mul, weighted[i], columns[j])) for j in range(i + 1)]
        for i in range(len(columns))
    ]
    for number, prior in enumerate(priors):
        # A little on top keeps columns that say the same from making it singular.
        matrix[number][number] += prior.precision + 1e-9 * (1 + matrix[number][number])
    return matrix


def _cholesky(matrix: list[list[float]]) -> list[list[float]]:
    """The lower factor of a positive definite matrix, of which the lower half is given."""
    factor: list[list[float]] = []
    for i, row in enumerate(matrix):
        new: list[float] = []
        for j in range(i):
            new.append((row[j] - sum(map(mul, new, factor[j]))) / factor[j][j])
        new.append(math.sqrt(max(row[i] - sum(map(mul, new, new)), 1e-12)))
        factor.append(new)
    return factor


def _solve(factor: list[list[float]], wanted: Sequence[float]) -> list[float]:
    """The x of L Lᵀ x = b."""
    n = len(wanted)
    half: list[float] = []
    for i in range(n):
        half.append((wanted[i] - sum(map(mul, factor[i], half))) / factor[i][i])
    found = [0.0] * n
    for i in reversed(range(n)):
        below = sum(factor[k][i] * found[k] for k in range(i + 1, n))
        found[i] = (half[i] - below) / factor[i][i]
    return found
