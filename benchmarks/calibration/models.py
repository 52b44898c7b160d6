"""Probabilities of an accept, each from a model that never saw the suggestion's cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from benchmarks.calibration.data import Decisions
from benchmarks.calibration.folds import fold_numbers, one_thread
from benchmarks.calibration.past import with_history
from benchmarks.calibration.score import ScoreFit
from benchmarks.extras import needed
from benchmarks.resampling import Bools, Floats
from lsp_server.errors import UsageError
from lsp_server.score.features import NAMES

# Enough folds for a large share of the data in each fit; with fewer clusters it is leave-one-out.
MAX_FOLDS = 25
LOGISTIC, TREES, SCORE = "logistic", "boosted trees", "midfill's score"
PAST = "trees with the developer's past"
# Made of what stands below the cursor: in a replay that is the developer's next line, which it
# need not be where new lines are written.
BELOW = frozenset(
    {"opens_nothing_below", "deeper_below", "blank_below", "same_below", "like_next_line"}
)


class Variant(NamedTuple):
    """A fit of the score with less than there is.

    Args:
        share: of the files that it could be fitted to.
        without: features that it does not know.
        n_folds: at most so many.
    """

    share: float = 1.0
    without: frozenset[str] = frozenset()
    n_folds: int = MAX_FOLDS


# A learning curve needs no more folds than it takes to see whether it still rises.
VARIANTS = {
    "a quarter of the other files": Variant(share=0.25, n_folds=10),
    "half of the other files": Variant(share=0.5, n_folds=10),
    "all, without what stands below": Variant(without=BELOW),
}
# Less is no curve.
_N_CLUSTERS_FOR_VARIANTS = 16


class Pool:
    """Replays that the score is fitted to together; a file is left out of all of them at once.

    Args:
        runs: the replays; one that records no evidence is left alone.
        seed: of which files share a fold.
    """

    def __init__(self, runs: Sequence[Decisions], seed: int) -> None:
        self._runs = [run for run in runs if run.evidence is not None]
        self._seed = seed
        self._known: dict[Variant, dict[str, Floats]] = {}

    def probabilities(self, run: Decisions, variant: Variant | None = None) -> Floats:
        """P(accept) of each opportunity of a run, as ``cross_fit``.

        Args:
            run: one of the replays.
            variant: with all there is when None.
        """
        which = variant or Variant()
        if which not in self._known:
            whole = _joined(self._runs)
            seen = np.array([name not in which.without for name in NAMES])
            found = cross_fit(
                whole,
                np.where(seen, whole.features, math.nan),
                lambda: ScoreFit(self._seed),
                self._seed,
                n_folds=which.n_folds,
                share=which.share,
            )
            ends = np.cumsum([len(each.shown) for each in self._runs])[:-1]
            parts = zip(self._runs, np.split(found, ends), strict=True)
            self._known[which] = {each.key: part for each, part in parts}
        return self._known[which][run.key]

    def variants(self, run: Decisions) -> dict[str, Callable[[], Floats]]:
        """What the score of a run would be with less than there is, by name."""
        if run.evidence is None or run.n_clusters < _N_CLUSTERS_FOR_VARIANTS:
            return {}
        return {
            name: lambda variant=variant: self.probabilities(run, variant)  # type: ignore[misc]
            for name, variant in VARIANTS.items()
        }


def _joined(runs: Sequence[Decisions]) -> Decisions:
    """Several replays as one, with the server's own features."""
    evidence = [run.evidence for run in runs if run.evidence is not None]
    return msgspec.structs.replace(
        runs[0],
        name=" and ".join(run.name for run in runs),
        clusters=tuple(cluster for run in runs for cluster in run.clusters),
        shown=np.concatenate([run.shown for run in runs]),
        accepted=np.concatenate([run.accepted for run in runs]),
        feature_names=NAMES,
        features=np.vstack(evidence),
        scores={},
        evidence=None,
    )


def predictors(
    decisions: Decisions, seed: int, pool: Pool | None = None
) -> dict[str, Callable[[], Floats]]:
    """What gives probabilities, by name: each score alone, and models of all features.

    Args:
        decisions: what is judged.
        seed: of which clusters share a fold.
        pool: replays that midfill's score is fitted to together; by default these alone.
    """
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
    if decisions.evidence is not None:
        fitted = pool or Pool([decisions], seed)
        found[SCORE] = lambda: fitted.probabilities(decisions)
    return found


def cross_fit(
    decisions: Decisions,
    features: Floats,
    make: Callable[[], Any],
    seed: int,
    *,
    n_folds: int = MAX_FOLDS,
    share: float = 1.0,
) -> Floats:
    """Probability of an accept for each opportunity; NaN where nothing was shown.

    Clusters are kept whole: with at most ``n_folds`` of them each is left out once, with more
    they share folds.

    Args:
        decisions: what is known.
        features: (opportunities, features).
        make: makes an unfitted classifier.
        seed: of which clusters share a fold.
        n_folds: at most so many.
        share: of the clusters of the other folds that a fit sees.

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
    folds = fold_numbers(list(groups), n_folds, seed)
    probabilities = np.full(len(decisions.shown), np.nan)
    for fold in range(int(folds.max()) + 1):
        seen = (folds != fold) & _some(groups, share, seed + fold)
        train, test = shown[seen], shown[folds == fold]
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
            more = (list(groups[seen]),) if isinstance(unfitted, ScoreFit) else ()
            model = unfitted.fit(features[train], outcomes, *more)
            probabilities[test] = model.predict_proba(features[test])[:, 1]
    return probabilities


def _some(groups: Any, share: float, seed: int) -> Bools:
    """Rows of a share of the clusters, drawn by chance."""
    names = np.unique(groups)
    drawn = np.random.default_rng(seed).random(len(names)).argsort().argsort()
    return np.asarray((drawn < share * len(names))[np.searchsorted(names, groups)])


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
