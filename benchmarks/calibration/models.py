"""Probabilities of an accept, each from a model that never saw the suggestion's cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.calibration.data import Decisions
from benchmarks.calibration.folds import fold_numbers, one_thread
from benchmarks.calibration.past import with_history
from benchmarks.calibration.score import ScoreFit
from benchmarks.extras import needed
from benchmarks.resampling import Floats
from lsp_server.errors import UsageError

# Enough folds for a large share of the data in each fit; with fewer clusters it is leave-one-out.
MAX_FOLDS = 25
LOGISTIC, TREES, SCORE = "logistic", "boosted trees", "midfill's score"
PAST = "trees with the developer's past"


def predictors(decisions: Decisions, seed: int) -> dict[str, Callable[[], Floats]]:
    """What gives probabilities, by name: each score alone, and models of all features."""
    found: dict[str, Callable[[], Floats]] = {
        name: lambda scores=scores: cross_fit(  # type: ignore[misc]
            decisions, scores[:, None], lambda: _logistic(), seed
        )
        for name, scores in decisions.scores.items()
    }
    found[LOGISTIC] = lambda: cross_fit(decisions, decisions.features, _logistic, seed)
    found[TREES] = lambda: cross_fit(decisions, decisions.features, lambda: _trees(seed), seed)
    past = decisions.past
    if past is not None:
        found[PAST] = lambda: with_history(
            decisions.features, past, decisions.accepted, decisions.clusters, MAX_FOLDS, seed
        )
    evidence = decisions.evidence
    if evidence is not None:
        found[SCORE] = lambda: cross_fit(decisions, evidence, lambda: ScoreFit(seed), seed)
    return found


def cross_fit(decisions: Decisions, features: Floats, make: Callable[[], Any], seed: int) -> Floats:
    """Probability of an accept for each opportunity; NaN where nothing was shown.

    Clusters are kept whole: with at most ``MAX_FOLDS`` of them each is left out once, with more
    they share folds.

    Args:
        decisions: what is known.
        features: (opportunities, features).
        make: makes an unfitted classifier.
        seed: of which clusters share a fold.

    Raises:
        UsageError: there are fewer than two clusters (``too_few_clusters``), or all were
            decided alike (``one_outcome``).
    """
    shown = np.flatnonzero(decisions.shown)
    groups = np.array(decisions.clusters)[shown]
    names = np.unique(groups)
    if len(names) < 2:
        raise UsageError(
            f"{decisions.name}: a fit needs suggestions from at least two files or developers.",
            code="too_few_clusters",
            hint="Take a longer run, or a higher --limit.",
        )
    folds = fold_numbers(list(groups), MAX_FOLDS, seed)
    probabilities = np.full(len(decisions.shown), np.nan)
    for fold in range(int(folds.max()) + 1):
        train, test = shown[folds != fold], shown[folds == fold]
        outcomes = decisions.accepted[train]
        if outcomes.all() or not outcomes.any():
            raise UsageError(
                f"{decisions.name}: a fit needs both accepted and other suggestions.",
                code="one_outcome",
                hint="Take a longer run, or a higher --limit.",
            )
        with one_thread():
            unfitted = make()
            # One that calibrates itself needs to know which rows belong together.
            more = (list(groups[folds != fold]),) if isinstance(unfitted, ScoreFit) else ()
            model = unfitted.fit(features[train], outcomes, *more)
            probabilities[test] = model.predict_proba(features[test])[:, 1]
    return probabilities


def _logistic() -> Any:
    with needed("The fit"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    # The default penalty (C = 1): mild for a dozen scaled features and a thousand rows.
    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))


def _trees(seed: int) -> Any:
    with needed("The fit"):
        from sklearn.ensemble import HistGradientBoostingClassifier
    # Fixed, not searched: about a thousand rows carry shallow trees (3 levels: interactions of
    # up to 3 features) with leaves of at least 20 rows, a small step, and 100 rounds; early
    # stopping would hold a part of the few rows back.
    return HistGradientBoostingClassifier(
        max_depth=3,
        learning_rate=0.05,
        max_iter=100,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
