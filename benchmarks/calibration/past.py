"""What the earlier decisions of a developer say of the next one: features strictly of the past."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.calibration.folds import fold_numbers, one_thread
from benchmarks.extras import needed
from benchmarks.resampling import Bools, Floats

Row = Mapping[str, float]

# Acceptance before anything is known, and for how many decisions that counts.
_PRIOR, _N_PRIOR = 0.37, 3.0
_NEAR_CHARS, _N_NEAR, _N_RECENT = 40, 5, 8
_HALF_LIVES = (2.0, 6.0, math.inf)
_N_INNER = 5
_N_BAGGED = 5

NAMES = (
    *(f"accepted before, half-life {half_life:g}" for half_life in (2.0, 10.0, math.inf)),
    *("decisions since the last accept", "first decision", "last one accepted"),
    *("change of the document", "move of the cursor", "way of the cursor", "cursor went back"),
    *("cursor stayed", "decided nearby", "accepted nearby", "log decisions", "length of the last"),
    *("same suggestion as the last", "same suggestion before", "typed along", "typed on"),
    *("log-prob above that of the last", "above those rejected", "above those accepted"),
    "longer than those accepted",
)


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
    outcomes = [earlier["accepted"] for earlier in past]
    since = next((n for n, taken in enumerate(reversed(outcomes)) if taken), len(outcomes))
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
        *(_rate(outcomes, half_life) for half_life in (2.0, 10.0, math.inf)),
        float(min(since, 10)),
        float(last is None),
        outcomes[-1] if outcomes else _PRIOR,
        math.copysign(math.log1p(abs(grown)), grown),
        math.copysign(math.log1p(abs(moved)), moved),
        math.log1p(abs(moved)),
        float(moved < 0),
        float(moved == 0),
        float(len(near)),
        (sum(each["accepted"] for each in near) + _PRIOR) / (len(near) + 1),
        math.log1p(len(past)),
        math.log1p(last["n_chars"]) if last else 3.0,
        float(last is not None and _same(row, last)),
        float(any(_same(row, each) and each["cursor_offset"] == row["cursor_offset"]
                  for each in past)),
        float(0 < moved <= _NEAR_CHARS and shorter == moved),
        float(bool(last) and not outcomes[-1] and 0 < moved < 10 and abs(grown - moved) <= 2),
        row["mean_logprob"] - _mean([each["mean_logprob"] for each in past[-10:]],
                                    row["mean_logprob"]),
        row["mean_logprob"] - _mean(rejected, -0.8),
        row["mean_logprob"] - _mean([each["mean_logprob"] for each in taken], -0.4),
        math.log1p(row["n_chars"]) - _mean([math.log1p(e["n_chars"]) for e in taken], 3.2),
    ]  # fmt: skip


def _rate(outcomes: Sequence[float], half_life: float) -> float:
    weights: list[float] = [0.5 ** (age / half_life) for age in range(len(outcomes))]
    taken = sum(w * taken for w, taken in zip(weights, reversed(outcomes), strict=True))
    return (taken + _PRIOR * _N_PRIOR) / (sum(weights) + _N_PRIOR)


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

    A logistic of the plain features says what was to be expected; how the developer's earlier
    decisions went against that is a feature as well. For the developers that are fitted to, it
    comes from folds that leave them out, as for the one that is judged.

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
    found = np.zeros(len(accepted))
    with one_thread():
        for fold in np.unique(folds):
            train, test = folds != fold, folds == fold
            expected = _expected(plain, accepted, names, train, test, seed)
            values = np.hstack([plain, past, _surprises(expected, accepted, names)])
            for number in range(_N_BAGGED):
                model = _trees(seed + number).fit(values[train], accepted[train])
                found[test] += model.predict_proba(values[test])[:, 1] / _N_BAGGED
    return found


def _expected(
    plain: Floats, accepted: Bools, names: Any, train: Bools, test: Bools, seed: int
) -> Floats:
    """Probabilities of a logistic that never saw the developer of a row."""
    expected = np.zeros(len(accepted))
    inner = fold_numbers(list(names[train]), _N_INNER, seed)
    rows = np.flatnonzero(train)
    for fold in np.unique(inner):
        fitted, held_out = rows[inner != fold], rows[inner == fold]
        model = _logistic().fit(plain[fitted], accepted[fitted])
        expected[held_out] = model.predict_proba(plain[held_out])[:, 1]
    model = _logistic().fit(plain[train], accepted[train])
    expected[test] = model.predict_proba(plain[test])[:, 1]
    return expected


def _surprises(expected: Floats, accepted: Bools, names: Any) -> Floats:
    """How a developer's earlier decisions went against what was expected, and the expectation."""
    found = np.zeros((len(accepted), len(_HALF_LIVES) + 1))
    sums: dict[Any, Floats] = defaultdict(lambda: np.zeros((2, len(_HALF_LIVES))))
    fading = np.array([0.5 ** (1 / half_life) for half_life in _HALF_LIVES])
    for row, name in enumerate(names):
        p = expected[row]
        surprise, spread = sums[name]
        found[row, :-1] = surprise / (spread + 1.5)
        found[row, -1] = math.log(p / (1 - p))
        sums[name] = sums[name] * fading + np.array([[accepted[row] - p], [p * (1 - p)]])
    return found


def _logistic() -> Any:
    with needed("The fit"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))


def _trees(seed: int) -> Any:
    with needed("The fit"):
        from sklearn.ensemble import HistGradientBoostingClassifier
    # Shallower than without the past, and each split sees a part of the features: there are three
    # times as many of them for the same thousand rows.
    return HistGradientBoostingClassifier(
        max_depth=2,
        learning_rate=0.04,
        max_iter=200,
        min_samples_leaf=20,
        l2_regularization=5.0,
        max_features=0.3,
        early_stopping=False,
        random_state=seed,
    )
