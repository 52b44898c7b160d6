"""What the earlier decisions of a developer say of the next one: features strictly of the past.

How often a developer accepts is no feature: of twenty developers, trees would learn these by heart.
It is a shift of the log-odds instead, drawn from a normal distribution and estimated anew before
each decision from the earlier ones (a random intercept).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.calibration.folds import fold_numbers, one_thread
from benchmarks.extras import needed
from benchmarks.resampling import Bools, Floats

Row = Mapping[str, float]

# Acceptance before anything is known.
_PRIOR = 0.37
_NEAR_CHARS, _N_NEAR, _N_RECENT = 40, 5, 8
_N_INNER = 5
_N_BAGGED = 5
_N_ROUNDS, _TOLERANCE = 25, 1e-6

NAMES = (
    *("change of the document", "move of the cursor", "way of the cursor", "cursor went back"),
    *("cursor stayed", "decided nearby", "accepted nearby", "length of the last"),
    *("same suggestion as the last", "same suggestion before", "typed along", "typed on"),
    *("log-prob above that of the last", "above those rejected", "above those accepted"),
    "longer than those accepted",
)


class Settings(NamedTuple):
    """How the past is used; chosen by log loss among the developers that are fitted to.

    Args:
        depth: of the trees.
        n_trees: as many.
        spread: standard deviation of the developers' shifts; 0 for no shift.
    """

    depth: int
    n_trees: int
    spread: float


_TREES = ((1, 400), (2, 200))
_SPREADS = (0.0, 0.2, 0.4, 0.8)


def history(rows: Sequence[Row], developers: Sequence[str]) -> Floats:
    """Features of each decision from the developer's earlier ones, (rows, ``NAMES``).

    Args:
        rows: in the order of the decisions, with ``accepted``.
        developers: of each row.
    """
    past: dict[str, list[Row]] = defaultdict(list)
    found = []
    for row, developer in zip(rows, developers, strict=True):
        found.append(_features(row, past[developer]))
        past[developer].append(row)
    return np.array(found)


def _features(row: Row, past: Sequence[Row]) -> list[float]:
    last = past[-1] if past else None
    moved = row["cursor_offset"] - last["cursor_offset"] if last else 0.0
    grown = row["document_chars"] - last["document_chars"] if last else 0.0
    shorter = last["n_chars"] - row["n_chars"] if last else 0.0
    near = [
        each for each in past[-_N_NEAR:]
        if abs(each["cursor_offset"] - row["cursor_offset"]) < _NEAR_CHARS
    ]  # fmt: skip
    recent = past[-_N_RECENT:]
    rejected = [each["mean_logprob"] for each in recent if not each["accepted"]]
    taken = [each for each in recent if each["accepted"]]
    return [
        math.copysign(math.log1p(abs(grown)), grown),
        math.copysign(math.log1p(abs(moved)), moved),
        math.log1p(abs(moved)),
        float(moved < 0),
        float(moved == 0),
        float(len(near)),
        (sum(each["accepted"] for each in near) + _PRIOR) / (len(near) + 1),
        math.log1p(last["n_chars"]) if last else 3.0,
        float(last is not None and _same(row, last)),
        float(any(_same(row, each) and each["cursor_offset"] == row["cursor_offset"]
                  for each in past)),
        float(0 < moved <= _NEAR_CHARS and shorter == moved),
        float(
            last is not None
            and not last["accepted"]
            and 0 < moved < 10
            and abs(grown - moved) <= 2
        ),
        row["mean_logprob"] - _mean([each["mean_logprob"] for each in past[-10:]],
                                    row["mean_logprob"]),
        row["mean_logprob"] - _mean(rejected, -0.8),
        row["mean_logprob"] - _mean([each["mean_logprob"] for each in taken], -0.4),
        math.log1p(row["n_chars"]) - _mean([math.log1p(e["n_chars"]) for e in taken], 3.2),
    ]  # fmt: skip


def _same(row: Row, other: Row) -> bool:
    return (
        row["n_chars"] == other["n_chars"]
        and abs(row["mean_logprob"] - other["mean_logprob"]) < 1e-3
    )


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def with_history(
    plain: Floats, past: Floats, accepted: Bools, developers: Sequence[str], n_folds: int, seed: int
) -> Floats:
    """Probabilities of trees that know the developer's past, each developer left out of the fit.

    The settings are chosen anew for each fold, among developers that it is fitted to.

    Args:
        plain: features without the past, (rows, features).
        past: see ``history``.
        accepted: of each row.
        developers: of each row, whose rows are in order.
        n_folds: see ``fold_numbers``.
        seed: of folds and trees.
    """
    folds = fold_numbers(developers, n_folds, seed)
    names = np.array(developers)
    values = np.hstack([plain, past])
    found = np.zeros(len(accepted))
    with one_thread():
        for fold in np.unique(folds):
            train, test = folds != fold, folds == fold
            chosen = choose(values[train], accepted[train], names[train], seed)
            logits = _grown(values, accepted, train, test, chosen, seed, n_fits=_N_BAGGED)
            known = shifted(logits, accepted[test], names[test], chosen.spread)
            found[test] = 1 / (1 + np.exp(-known))
    return found


def choose(values: Floats, accepted: Bools, names: Any, seed: int) -> Settings:
    """The settings with the least log loss on developers that a fit did not see."""
    folds = fold_numbers(list(names), _N_INNER, seed)
    losses = {}
    for depth, n_trees in _TREES:
        settings = Settings(depth, n_trees, 0.0)
        logits = np.zeros(len(accepted))
        for fold in np.unique(folds):
            train, test = folds != fold, folds == fold
            logits[test] = _grown(values, accepted, train, test, settings, seed)
        for spread in _SPREADS:
            known = shifted(logits, accepted, names, spread)
            signs = np.where(accepted, 1.0, -1.0)
            losses[settings._replace(spread=spread)] = np.logaddexp(0.0, -signs * known).mean()
    return min(losses, key=lambda settings: losses[settings])


def shifted(logits: Floats, accepted: Bools, names: Any, spread: float) -> Floats:
    """Log-odds, moved by how a developer's earlier decisions went against theirs.

    Args:
        logits: of each row; a developer's rows are in order.
        accepted: of each row.
        names: the developer of each row.
        spread: see ``Settings``.
    """
    found = logits.copy()
    if spread <= 0:
        return found
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        shift = 0.0
        for number, row in enumerate(rows):
            earlier = rows[:number]
            shift = _likeliest_shift(logits[earlier], accepted[earlier], spread, shift)
            found[row] += shift
    return found


def _likeliest_shift(logits: Floats, accepted: Bools, spread: float, start: float) -> float:
    """The mode of a shift's posterior (Newton's method; the log posterior is concave)."""
    shift = start
    for _ in range(_N_ROUNDS):
        p = 1 / (1 + np.exp(-(logits + shift)))
        slope = float((accepted - p).sum()) - shift / spread**2
        step = slope / (float((p * (1 - p)).sum()) + 1 / spread**2)
        shift += step
        if abs(step) < _TOLERANCE:
            break
    return shift


def _grown(
    values: Floats,
    accepted: Bools,
    train: Bools,
    test: Bools,
    settings: Settings,
    seed: int,
    n_fits: int = 1,
) -> Floats:
    """Log-odds of the rows of ``test`` by trees of those of ``train``: the mean of some fits."""
    with needed("The fit"):
        from sklearn.ensemble import HistGradientBoostingClassifier
    logits = np.zeros(int(np.count_nonzero(test)))
    for number in range(n_fits):
        # Each split sees a part of the features: there are twice as many as without the past,
        # for the same thousand rows.
        trees = HistGradientBoostingClassifier(
            max_depth=settings.depth,
            max_iter=settings.n_trees,
            learning_rate=0.04,
            min_samples_leaf=20,
            l2_regularization=5.0,
            max_features=0.3,
            early_stopping=False,
            random_state=seed + number,
        )
        trees.fit(values[train], accepted[train])
        logits += trees.decision_function(values[test]) / n_fits
    return logits
