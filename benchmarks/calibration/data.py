"""Suggestions: what was known of them before they were shown, and what became of them."""

from __future__ import annotations

import csv
import hashlib
import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.calibration.past import history
from benchmarks.records import read_run
from benchmarks.replay import metrics
from benchmarks.replay.text import lines_of
from benchmarks.replay.types import Opportunity, Walk
from benchmarks.resampling import Bools, Floats
from benchmarks.summary import RunInfo
from lsp_server.errors import StoreError, UsageError
from lsp_server.score.evidence import Evidence
from lsp_server.score.features import NAMES, features
from lsp_server.score.model import shipped

# Published logistic of a commercial assistant (2024): intercept, ln(1 + characters), mean
# log-prob, mean log-prob of the runner-up tokens. Its term for the language is a constant here.
_PUBLISHED = (2.98, -0.839, 1.503, -0.238)

# Enough to tell what one takes.
_N_TIMED = 500
# Suggestions without log-probs have the worst score; as a feature that would dwarf all others.
_LEAST_FEATURE = -100.0

_Row = dict[str, float]
_DECISION_FEATURES: tuple[tuple[str, Callable[[_Row], float]], ...] = (
    ("mean log-prob", lambda row: row["mean_logprob"]),
    ("sum of log-probs", lambda row: row["mean_logprob"] * row["n_tokens"]),
    ("mean log-prob of the alternatives", lambda row: row["mean_alternative_logprob"]),
    ("log characters", lambda row: math.log1p(row["n_chars"])),
    ("log tokens", lambda row: math.log1p(row["n_tokens"])),
    ("lines", lambda row: row["n_lines"]),
    ("log characters of the document", lambda row: math.log1p(row["document_chars"])),
    ("place in the document", lambda row: row["cursor_offset"] / max(1.0, row["document_chars"])),
    ("log characters left of the cursor", lambda row: math.log1p(row["line_chars_before"])),
    ("blank line", lambda row: row["line_blank"]),
    ("opens", lambda row: row["opens"]),
    ("in a comment", lambda row: row["in_comment"]),
    ("with a comment", lambda row: row["suggestion_has_comment"]),
    ("unbalanced", lambda row: row["unbalanced"]),
)
_NEEDED = (
    *("developer", "accepted", "mean_logprob", "mean_alternative_logprob", "n_chars", "n_lines"),
    *("n_tokens", "document_chars", "cursor_offset", "line_chars_before", "line_blank", "opens"),
    *("in_comment", "suggestion_has_comment", "unbalanced"),
)
_REPLAY_FEATURES: tuple[tuple[str, Callable[[Opportunity], float]], ...] = (
    ("sum of log-probs, first line", lambda o: metrics.score_of(o.suggestion, "sum")),
    ("sum of log-probs", lambda o: metrics.score_of(o.suggestion, "sum_all")),
    ("mean log-prob", lambda o: metrics.score_of(o.suggestion, "mean")),
    ("least log-prob", lambda o: metrics.score_of(o.suggestion, "min")),
    ("log-prob of the first token", lambda o: metrics.score_of(o.suggestion, "first")),
    ("log tokens", lambda o: math.log1p(len(o.suggestion.logprobs))),
    ("log characters", lambda o: math.log1p(len(o.suggestion.text))),
    ("lines", lambda o: float(len(lines_of(o.suggestion.text)))),
    ("log characters left of the cursor", lambda o: math.log1p(o.column)),
    ("line start", lambda o: float(o.kind == "line_start")),
    ("inside an identifier", lambda o: float(o.kind == "inside_identifier")),
    ("a comment", lambda o: float(o.suggestion.text.lstrip().startswith("#"))),
)


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """Opportunities, an element each; what was not shown has neither features nor scores.

    Args:
        name: for display.
        key: names them in a results file; changes with the data.
        clusters: the developer, or project and file; folds and intervals keep them whole.
        shown: whether there was a suggestion.
        accepted: whether it was accepted.
        feature_names: of the columns of ``features``.
        features: known before showing, (opportunities, features).
        scores: ready-made scores by name, higher is surer.
        evidence: the features that the server itself makes, (opportunities, features); None where
            what they are made of was not recorded.
        past: features of the developer's earlier decisions, (opportunities, features); None where
            nobody decided.
        cost_us: what the server's score takes a suggestion, in microseconds; None where it cannot
            be told.
    """

    name: str
    key: str
    clusters: tuple[str, ...]
    shown: Bools
    accepted: Bools
    feature_names: tuple[str, ...]
    features: Floats
    scores: dict[str, Floats]
    evidence: Floats | None = None
    past: Floats | None = None
    cost_us: float | None = None

    @property
    def n_clusters(self) -> int:
        """How many clusters have something that was shown."""
        return len({c for c, shown in zip(self.clusters, self.shown, strict=True) if shown})


def human(path: Path, *, limit: int | None = None) -> Decisions:
    """Decisions of developers from a CSV file, a row each.

    What came of a developer's earlier decisions is in ``past``. Not used: shares edited later
    (known after the accept only), and the time from request to display: it goes up to minutes, so
    that it says when the developer looked rather than what was known before.

    Args:
        path: of the file.
        limit: only so many rows, the first ones.

    Raises:
        UsageError: there is no such file (``no_decisions``) or it is something else
            (``not_decisions``).
    """
    try:
        data = path.read_bytes()
        table = list(csv.DictReader(data.decode("utf-8").splitlines()))[:limit]
        rows = [{name: float(row[name]) for name in _NEEDED} for row in table]
    except OSError as error:
        raise UsageError(
            f"There is no file of human decisions at {path}.",
            code="no_decisions",
            hint="Derive it from the telemetry in microsoft/coderec_programming_states on GitHub "
            "(one row a suggestion: developer, accepted, token log-probs, lengths, position) and "
            "name it with --decisions, or calibrate on replays only with --runs FILE.jsonl.",
        ) from error
    except (UnicodeDecodeError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise UsageError(
            f"{path} is no file of human decisions: {error}.",
            code="not_decisions",
            hint=f"It needs the columns {', '.join(_NEEDED)}, all of them numbers.",
        ) from error
    if not rows:
        raise UsageError(f"{path} holds no decisions.", code="not_decisions")
    mean = np.array([row["mean_logprob"] for row in rows])
    return Decisions(
        name="human decisions",
        key=f"human {hashlib.sha256(data).hexdigest()[:12]} {len(rows)}",
        clusters=tuple(row["developer"] for row in table),
        shown=np.ones(len(rows), dtype=np.bool_),
        accepted=np.array([row["accepted"] == 1 for row in rows], dtype=np.bool_),
        feature_names=tuple(name for name, _ in _DECISION_FEATURES),
        features=np.array([[value(row) for _, value in _DECISION_FEATURES] for row in rows]),
        scores={
            "mean log-prob": mean,
            "sum of log-probs": mean * np.array([row["n_tokens"] for row in rows]),
            "published logistic": np.array([_published(row) for row in rows]),
        },
        past=history(rows, [row["developer"] for row in table]),
    )


def replayed(path: Path, *, limit: int | None = None) -> Decisions:
    """Opportunities of a replay, of one suffix mode (see ``metrics.main_mode``).

    The features are what the server knows when it has the suggestion; whether the developer's
    line is a comment is not among them.

    Args:
        path: results file of the ``acceptance`` benchmark.
        limit: only so many opportunities, the first ones.

    Raises:
        UsageError: there is no such file, it is no run, or nothing was suggested in it
            (``no_suggestions``).
    """
    run, walks = read_run(path, Walk)
    return of_walks(walks, run, name=path.stem, limit=limit)


def of_walks(
    walks: Sequence[Walk], run: RunInfo, *, name: str, limit: int | None = None
) -> Decisions:
    """As ``replayed``, for walks that are read already."""
    mode = metrics.main_mode(walks)
    sample = metrics.sample([walk for walk in walks if walk.suffix == mode])
    cases = sample.cases[:limit]
    opportunities = [opportunity for _, opportunity in cases]
    shown = sample.shown[: len(cases)]
    if not shown.any():
        raise UsageError(
            f"Nothing was suggested in {name}, so there is nothing to calibrate.",
            code="no_suggestions",
            hint="Give a results file of the acceptance benchmark.",
        )
    scores = {
        metrics.SCORES[score]: np.array(
            [metrics.score_of(o.suggestion, score) for o in opportunities]
        )
        for score in ("sum", "mean", "min")
    }
    recipe = msgspec.json.encode(
        [run.options, run.model_sha256, run.code, len(walks)], order="sorted"
    )
    said = f"replay, {run.model or name}" + ("" if mode == "full" else f", suffix {mode}")
    evidence = [o.suggestion.evidence for o in opportunities]
    return Decisions(
        name=said,
        key=f"replay {hashlib.sha256(recipe).hexdigest()[:12]} {len(cases)}",
        clusters=tuple(walk.cluster for walk, _ in cases),
        shown=shown,
        accepted=sample.matches()[: len(cases)],
        feature_names=tuple(feature for feature, _ in _REPLAY_FEATURES),
        features=np.maximum(
            [[value(o) for _, value in _REPLAY_FEATURES] for o in opportunities], _LEAST_FEATURE
        ),
        scores=scores,
        evidence=_numbers(evidence, shown),
        cost_us=_cost_us([each for each in evidence if each is not None][:_N_TIMED]),
    )


def _numbers(evidence: Sequence[Evidence | None], shown: Bools) -> Floats | None:
    """What the server's score is made of; None unless it was recorded of all that was shown."""
    if any(each is None for each, is_shown in zip(evidence, shown, strict=True) if is_shown):
        return None
    blank = (math.nan,) * len(NAMES)
    return np.array([blank if each is None else features(each) for each in evidence])


def _cost_us(evidence: Sequence[Evidence]) -> float | None:
    """Microseconds that the server spends on the score of a suggestion: features and model."""
    try:
        model = shipped()
    except StoreError:  # of another version: it is about to be fitted anew
        return None
    if not evidence:
        return None
    spent_s = []
    for each in evidence:
        started_s = time.perf_counter()
        model.probability(features(each))
        spent_s.append(time.perf_counter() - started_s)
    # On a busy machine some wait in the middle of it, which is no work of theirs.
    return 1e6 * statistics.median(spent_s)


def _published(row: _Row) -> float:
    intercept, length, mean, alternative = _PUBLISHED
    return (
        intercept
        + length * math.log1p(row["n_chars"])
        + mean * row["mean_logprob"]
        + alternative * row["mean_alternative_logprob"]
    )
