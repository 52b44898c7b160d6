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
from lsp_server.score.model import Node, Provenance, ScoreModel, Tree

# What has to be shown by much data: the log-probability of the line counts in full, everything else
# only as far as it says more than that, a thousandth of the prior variance.
_CORE = frozenset({"logprob_sum", "p_line", "logprob_end"})
_REST_SCALE = 0.03
# Fewer rows carry no trees.
_N_FOR_TREES = 600
# Fixed, not searched: about a thousand rows carry trees this shallow.
_TREES: dict[str, Any] = {
    "max_depth": 3,
    "learning_rate": 0.05,
    "max_iter": 80,
    "min_samples_leaf": 15,
    "l2_regularization": 5.0,
    "early_stopping": False,
}
TREES_SHARE = 0.5
_N_INNER = 5
_N_QUANTILES = 201
# Of the machine that replayed, always the same there, or of the file rather than the suggestion,
# and the corpus has few files: the user's own fit may use them.
_LEFT_OUT = frozenset(
    {"log_latency", "other_files", "log_chars_before", "log_chars_after", "log_indent"}
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
        walks += more
    return rows_of_walks(walks, tuple(runs))


def rows_of_walks(walks: Sequence[Walk], runs: tuple[RunInfo, ...] = ()) -> Rows:
    """As ``rows_of``, for walks that are read already."""
    found: list[tuple[Evidence, bool, str]] = []
    mode = metrics.main_mode(walks)
    data = metrics.sample([walk for walk in walks if walk.suffix == mode])
    for walk, opportunity in data.cases:
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

    Args:
        seed: of which clusters share a fold.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.model: ScoreModel | None = None

    def fit(self, values: Floats, accepted: Bools, clusters: Sequence[str]) -> ScoreFit:
        """Fit, and calibrate on folds that the fit did not see."""
        folds = fold_numbers(clusters, _N_INNER, self._seed)
        logits, grows = self._held_out(values, accepted, folds, False), False
        if len(accepted) >= _N_FOR_TREES:
            grown = self._held_out(values, accepted, folds, True)
            # Trees are taken where they say more of rows that they did not see.
            grows = _loss(grown, accepted) < _loss(logits, accepted)
            logits = grown if grows else logits
        slope, shift = _calibration(logits, accepted)
        found = _uncalibrated(values, accepted, self._seed, grows)
        probabilities = 1 / (1 + np.exp(-(slope * logits + shift)))
        quantiles = np.quantile(probabilities, np.linspace(0, 1, _N_QUANTILES))
        self.model = _changed(
            found,
            slope=slope,
            shift=shift,
            quantiles=tuple(round(float(p), 5) for p in quantiles),
        )
        return self

    def _held_out(self, values: Floats, accepted: Bools, folds: Any, grows: bool) -> Floats:
        """Log-odds of each row from a fit that did not see its fold."""
        logits = np.zeros(len(accepted))
        for fold in np.unique(folds):
            train, test = folds != fold, folds == fold
            part = _uncalibrated(values[train], accepted[train], self._seed, grows)
            logits[test] = [part.logit(row) for row in values[test].tolist()]
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
    with one_thread():
        model = ScoreFit(seed).fit(rows.features, rows.accepted, rows.clusters).model
    assert model is not None
    return _changed(model, provenance=provenance(rows))


def _changed(model: ScoreModel, **fields: Any) -> ScoreModel:
    import msgspec

    return msgspec.structs.replace(model, **fields)


def _uncalibrated(values: Floats, accepted: Bools, seed: int, grows: bool) -> ScoreModel:
    """A logistic, mixed with trees of the same rows where there are enough of them."""
    with needed("The fit"):
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
    used = np.array([name not in _LEFT_OUT for name in NAMES]) & ~np.isnan(values).all(axis=0)
    # A column that is always the same is never asked for.
    values = np.where(used, values, 0.0)
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
    standard = np.array([blank.standard(row) for row in values.tolist()])
    # A smaller column needs a larger weight, which the same penalty holds down more.
    strength = np.array([1.0 if name in _CORE else _REST_SCALE for name in NAMES])
    linear = LogisticRegression(C=1.0, max_iter=2000).fit(standard * strength, accepted)
    found = _changed(
        blank,
        weights=tuple(round(float(x), 6) for x in linear.coef_[0] * strength),
        bias=float(linear.intercept_[0]),
    )
    if not grows:
        return found
    trees = HistGradientBoostingClassifier(random_state=seed, **_TREES).fit(values, accepted)
    return _changed(
        found,
        trees=exported(trees),
        trees_bias=float(trees._baseline_prediction.ravel()[0]),
        trees_share=TREES_SHARE,
    )


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
