"""The logistic in plain Python."""

from __future__ import annotations

import math
import random

import pytest

from lsp_server.score.fit import Prior, logistic


def table(n: int = 300, n_features: int = 6, seed: int = 3) -> tuple[list[list[float]], list[bool]]:
    """Columns, the last one of ones, and outcomes that depend on some of them."""
    chance = random.Random(seed)
    columns = [[chance.gauss(0, 1) for _ in range(n)] for _ in range(n_features)]
    outcomes = [
        chance.random() < 1 / (1 + math.exp(-(1.5 * a - b + 0.3)))
        for a, b in zip(columns[0], columns[1], strict=True)
    ]
    return [*columns, [1.0] * n], outcomes


def test_it_agrees_with_scikit_learn() -> None:
    """A ridge of the same strength has the same coefficients; the bias is free in both."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    np = pytest.importorskip("numpy")
    columns, outcomes = table()
    ours = logistic(columns, outcomes, [*[Prior(0.0, 1 / 0.2)] * 6, Prior()])
    theirs = linear_model.LogisticRegression(C=0.2, tol=1e-10, max_iter=10_000)
    theirs.fit(np.array(columns[:-1]).T, np.array(outcomes))
    assert ours[:-1] == pytest.approx(list(theirs.coef_[0]), abs=1e-4)
    assert ours[-1] == pytest.approx(float(theirs.intercept_[0]), abs=1e-4)


def test_weights_count_rows_several_times() -> None:
    """A row of weight two is that row twice."""
    columns, outcomes = table(60, 2)
    priors = [Prior(0.0, 1.0)] * 3
    twice = logistic([[*c, *c[:20]] for c in columns], [*outcomes, *outcomes[:20]], priors)
    weighted = logistic(columns, outcomes, priors, [2.0] * 20 + [1.0] * 40)
    assert weighted == pytest.approx(twice, abs=1e-5)


def test_without_data_it_is_what_was_thought_before() -> None:
    """The prior's means."""
    assert logistic([[0.0], [0.0]], [True], [Prior(1.0, 4.0), Prior(-2.0, 4.0)]) == [1.0, -2.0]


def test_columns_that_say_the_same_are_no_trouble() -> None:
    """Neither are outcomes that a column tells exactly: the prior keeps it finite."""
    column = [float(number) for number in range(-10, 10)]
    found = logistic([column, column], [x > 0 for x in column], [Prior(0.0, 1.0)] * 2)
    assert all(map(math.isfinite, found))
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert found[0] > 0
