"""Fits the model that midfill comes with, from replays, with the server's own features."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.calibration.folds import fold_numbers, one_thread
from benchmarks.extras import needed
from benchmarks.records import read_run
from benchmarks.replay import metrics
from benchmarks.replay.types import Walk
from benchmarks.resampling import Bools, Floats
from benchmarks.summary import RunInfo
from lsp_server.errors import UsageError
from lsp_server.score.evidence import Evidence
from lsp_server.score.features import NAMES, features
from lsp_server.score.fit import Prior, logistic
from lsp_server.score.model import MOST_DEVIATIONS, Node, Provenance, ScoreModel, Tree

# What counts in full: how sure the model is of the line and of its end, how long the line is,
# whether it stands above already, and whether it fits what stands below. Everything else counts
# only as far as it says more than that.
CORE = frozenset(
    {
        *("logprob_sum", "p_line", "logprob_end", "p_end", "entropy_sum"),
        *("log_chars", "log_tokens", "same_above"),
        *("opens_nothing_below", "deeper_below"),
    }
)
# By how much the prior of the rest is narrower. The mean of several fits knows more than any of
# them, and nothing is to be chosen.
RESTS = (0.05, 0.1, 0.2)
# Fewer rows carry no trees.
N_FOR_TREES = 600
# About a thousand rows carry trees this shallow; each split sees a part of the features.
_TREES: dict[str, Any] = {
    "max_depth": 2,
    "learning_rate": 0.05,
    "max_iter": 150,
    "min_samples_leaf": 15,
    "l2_regularization": 5.0,
    "max_features": 0.3,
    "early_stopping": False,
}
# Of the trees in the log-odds.
SHARES = (0.0, 0.3)
_N_INNER = 5
_N_QUANTILES = 201
# Of the machine that replayed, always the same there, or of the file rather than the suggestion,
# and the corpus has few files. And a replay takes at once what is right, so that what is left of a
# suggestion while one types along was wrong there, and only there. The user's own fit may use them.
_LEFT_OUT = frozenset(
    {
        *("log_latency", "other_files", "log_chars_before", "log_chars_after", "log_indent"),
        "log_typed_of_it",
    }
)
_PLATT = (Prior(1.0, 1.0), Prior(0.0, 1.0))


class Rows(NamedTuple):
    """Suggestions that were shown.

    Args:
        features: (rows, features); NaN where one is not known.
        accepted: A-line.
        clusters: project and file of each.
        runs: what they come from.
    """

    features: Floats
    accepted: Bools
    clusters: tuple[str, ...]
    runs: tuple[RunInfo, ...]


def rows_of(paths: Sequence[Path]) -> Rows:
    """The suggestions of results files of the acceptance benchmark.

    Raises:
        UsageError: there is no such file, it is no run, or it records no evidence
            (``no_evidence``).
    """
    runs, walks = [], []
    for path in paths:
        run, more = read_run(path, Walk)
        runs.append(run)
        # The modes of one run ask at the same places; another run may have another mode.
        mode = metrics.main_mode(more)
        walks += [walk for walk in more if walk.suffix == mode]
    return rows_of_walks(walks, tuple(runs))


def rows_of_walks(walks: Sequence[Walk], runs: tuple[RunInfo, ...] = ()) -> Rows:
    """As ``rows_of``, for walks that are read already."""
    found: list[tuple[Evidence, bool, str]] = []
    for walk, opportunity in metrics.sample(walks).cases:
        evidence = opportunity.suggestion.evidence
        if opportunity.suggestion.text and evidence is not None:
            found.append((evidence, metrics.matches(opportunity), walk.cluster))
    if not found:
        raise UsageError(
            "The runs do not record what a score is made of.",
            code="no_evidence",
            hint="Replay again: python -m benchmarks acceptance",
        )
    return Rows(
        np.array([features(evidence) for evidence, _, _ in found]),
        np.array([accepted for _, accepted, _ in found], dtype=np.bool_),
        tuple(cluster for _, _, cluster in found),
        runs,
    )


def provenance(rows: Rows) -> Provenance:
    """Where a model comes from that is fitted to these rows."""
    return Provenance(
        corpus="; ".join(dict.fromkeys(str(run.options.get("corpus", "")) for run in rows.runs)),
        n=len(rows.accepted),
        n_accepted=int(rows.accepted.sum()),
        date=datetime.now(UTC).date().isoformat(),
        model=", ".join(run.model for run in rows.runs),
        model_sha256=", ".join(run.model_sha256 for run in rows.runs),
        commit=", ".join(dict.fromkeys(run.commit for run in rows.runs)),
    )


class ScoreFit:
    """The fit of the shipped model as a classifier, so that it can be judged like others.

    Whether trees have a share is decided in the fit, by folds of the clusters it is fitted to:
    whoever leaves clusters out of the fit leaves them out of that decision as well.

    Args:
        seed: of which clusters share a fold.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.model: ScoreModel | None = None

    def fit(self, values: Floats, accepted: Bools, clusters: Sequence[str]) -> ScoreFit:
        """Fit, and calibrate on folds that the fit did not see."""
        with one_thread():
            logits = self._held_out(values, accepted, fold_numbers(clusters, _N_INNER, self._seed))
            share = min(logits, key=lambda share: _loss(logits[share], accepted))
            found = _uncalibrated(values, accepted, self._seed, share)
        slope, shift = _calibration(logits[share], accepted)
        probabilities = 1 / (1 + np.exp(-(slope * logits[share] + shift)))
        quantiles = np.quantile(probabilities, np.linspace(0, 1, _N_QUANTILES))
        self.model = _changed(
            found,
            slope=slope,
            shift=shift,
            quantiles=tuple(round(float(p), 5) for p in quantiles),
        )
        return self

    def _held_out(self, values: Floats, accepted: Bools, folds: Any) -> dict[float, Floats]:
        """Log-odds of each row from fits that did not see its fold, by the share of the trees."""
        shares = SHARES if len(accepted) >= N_FOR_TREES else SHARES[:1]
        logits = {share: np.zeros(len(accepted)) for share in shares}
        for fold in np.unique(folds):
            train, test = folds != fold, folds == fold
            linear = _linear(values[train], accepted[train])
            found = _standard(linear, values[test]) @ linear.weights + linear.bias
            for share in shares:
                logits[share][test] = (1 - share) * found
                if share:
                    grown = _grown(values[train], accepted[train], self._seed)
                    logits[share][test] += share * grown.decision_function(values[test])
        return logits

    def predict_proba(self, values: Floats) -> Floats:
        """Probabilities, (rows, 2), from the very code that the server runs."""
        assert self.model is not None
        p = np.array([self.model.probability(row) for row in values.tolist()])
        return np.column_stack([1 - p, p])


def _calibration(logits: Floats, accepted: Bools) -> tuple[float, float]:
    """Slope and shift that make probabilities of log-odds (Platt, 1999)."""
    ones = [1.0] * len(logits)
    slope, shift = logistic([logits.tolist(), ones], accepted.tolist(), _PLATT)
    return slope, shift


def _loss(logits: Floats, accepted: Bools) -> float:
    """Mean log loss of log-odds once they are calibrated."""
    slope, shift = _calibration(logits, accepted)
    signs = np.where(accepted, 1.0, -1.0)
    return float(np.logaddexp(0.0, -signs * (slope * logits + shift)).mean())


def fit_model(rows: Rows, seed: int) -> ScoreModel:
    """The model to ship."""
    model = ScoreFit(seed).fit(rows.features, rows.accepted, rows.clusters).model
    assert model is not None
    return _changed(model, provenance=provenance(rows))


def _changed(model: ScoreModel, **fields: Any) -> ScoreModel:
    import msgspec

    return msgspec.structs.replace(model, **fields)


def _uncalibrated(values: Floats, accepted: Bools, seed: int, share: float) -> ScoreModel:
    """A logistic, mixed with trees of the same rows where they have a share."""
    found = _linear(values, accepted)
    if not share:
        return found
    trees = _grown(values, accepted, seed)
    return _changed(
        found,
        trees=exported(trees),
        trees_bias=float(trees._baseline_prediction.ravel()[0]),
        trees_share=share,
    )


def _linear(values: Floats, accepted: Bools) -> ScoreModel:
    """A logistic: the mean of those with each of ``RESTS``."""
    with needed("The fit"):
        from sklearn.linear_model import LogisticRegression
    known = ~np.isnan(values)
    n_known = np.maximum(known.sum(axis=0), 1)
    means = np.where(known, values, 0.0).sum(axis=0) / n_known
    spread = np.where(known, values - means, 0.0)
    scales = np.sqrt((spread**2).sum(axis=0) / n_known)
    blank = ScoreModel(
        means=tuple(round(float(x), 6) for x in means),
        scales=tuple(round(float(x), 6) for x in scales),
        weights=(0.0,) * len(NAMES),
        bias=0.0,
        provenance=Provenance(corpus="", n=0, n_accepted=0, date=""),
    )
    standard = _standard(blank, values)
    weights, bias = np.zeros(len(NAMES)), 0.0
    for rest in RESTS:
        # A smaller column needs a larger weight, which the same penalty holds down more.
        strength = np.array([_strength(name, rest) for name in NAMES])
        linear = LogisticRegression(C=1.0, max_iter=2000).fit(standard * strength, accepted)
        weights += linear.coef_[0] * strength / len(RESTS)
        bias += float(linear.intercept_[0]) / len(RESTS)
    return _changed(blank, weights=tuple(round(float(x), 6) for x in weights), bias=bias)


def _strength(name: str, rest: float) -> float:
    return 0.0 if name in _LEFT_OUT else 1.0 if name in CORE else rest


def _standard(model: ScoreModel, values: Floats) -> Floats:
    """``ScoreModel.standard`` of many rows."""
    means, scales = np.array(model.means), np.array(model.scales)
    known = ~np.isnan(values) & (scales > 0)
    found = np.where(known, values - means, 0.0) / np.where(scales > 0, scales, 1.0)
    return np.asarray(np.clip(found, -MOST_DEVIATIONS, MOST_DEVIATIONS))


def _grown(values: Floats, accepted: Bools, seed: int) -> Any:
    """Boosted trees; a column that is always the same is never asked for."""
    with needed("The fit"):
        from sklearn.ensemble import HistGradientBoostingClassifier
    used = np.array([name not in _LEFT_OUT for name in NAMES]) & ~np.isnan(values).all(axis=0)
    trees = HistGradientBoostingClassifier(random_state=seed, **_TREES)
    return trees.fit(np.where(used, values, 0.0), accepted)


def exported(trees: Any) -> tuple[Tree, ...]:
    """scikit-learn's trees as plain nodes.

    Args:
        trees: a fitted HistGradientBoostingClassifier of two classes, without categories.
    """
    return tuple(tuple(_node(node) for node in stage[0].nodes) for stage in trees._predictors)


def _node(node: Any) -> Node:
    if node["is_leaf"]:
        return Node(-1, value=round(float(node["value"]), 6))
    return Node(
        int(node["feature_idx"]),
        float(node["num_threshold"]),
        int(node["left"]),
        int(node["right"]),
        bool(node["missing_go_to_left"]),
    )
