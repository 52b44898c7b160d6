"""The fit of the score that midfill ships, and what is known of a developer's past."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.calibration import past, score
from benchmarks.calibration.data import of_walks
from benchmarks.calibration.models import SCORE, cross_fit
from benchmarks.calibration.score import ScoreFit, exported
from benchmarks.replay.types import Walk
from lsp_server.errors import UsageError
from lsp_server.score.features import NAMES
from lsp_server.score.model import decode, leaf_of
from tests.benchmarks.makers import made_up_run
from tests.benchmarks.test_calibration import run_command, write_decisions, write_run
from tests.benchmarks.walks import many_walks, opportunity, walk
from tests.score.makers import evidence


def scored_walks(n: int = 24, seed: int = 5) -> list[Walk]:
    """Walks whose suggestions are right the more often the surer the model was."""
    chance = random.Random(seed)
    walks = []
    for number in range(n):
        opportunities = []
        for line in range(10):
            logprob = -3 * chance.random()
            right = chance.random() < np.exp(2 * logprob)
            text = "value = compute(first)" if right else "other(wrong)"
            one = opportunity(line=line, target="value = compute(first)", text=text)
            known = evidence(text, logprob, logprob / 2, end_logprob=-0.1)
            suggestion = msgspec.structs.replace(one.suggestion, evidence=known)
            opportunities.append(msgspec.structs.replace(one, suggestion=suggestion))
        walks.append(walk(opportunities, file=f"f{number}.py"))
    return walks


def test_trees_say_what_scikit_learn_says() -> None:
    """The nodes that are shipped give its very probabilities, for unknown values too."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    chance = np.random.default_rng(1)
    values = chance.normal(size=(400, 6))
    values[chance.random(values.shape) < 0.1] = np.nan
    accepted = np.nan_to_num(values[:, 0]) + chance.normal(size=400) > 0
    fitted = ensemble.HistGradientBoostingClassifier(max_depth=3, max_iter=30, random_state=1)
    fitted.fit(values, accepted)
    trees = exported(fitted)
    bias = float(fitted._baseline_prediction.ravel()[0])
    ours = [bias + sum(leaf_of(tree, row) for tree in trees) for row in values.tolist()]
    assert ours == pytest.approx(list(fitted.decision_function(values)), abs=1e-4)


def test_the_logistic_says_what_scikit_learn_says() -> None:
    """The weights that are shipped, for standardised features, with the same penalty."""
    linear = pytest.importorskip("sklearn.linear_model")
    rows = score.rows_of_walks(scored_walks())
    model = score._uncalibrated(rows.features, rows.accepted, 1, False)
    standard = np.array([model.standard(row) for row in rows.features.tolist()])
    strength = np.array([1.0 if name in score._CORE else score._REST_SCALE for name in NAMES])
    theirs = linear.LogisticRegression(C=1.0, max_iter=2000)
    theirs.fit(standard * strength, rows.accepted)
    ours = [model.logit(row) for row in rows.features.tolist()]
    assert ours == pytest.approx(theirs.decision_function(standard * strength), abs=1e-3)
    assert model.trees == ()


def test_trees_are_taken_where_they_say_more() -> None:
    """Of rows that they did not see, and only where there are enough rows."""
    chance = np.random.default_rng(2)
    values = chance.normal(size=(800, len(NAMES)))
    clusters = [str(number % 40) for number in range(800)]
    # Neither low nor high: no line parts these.
    middle = np.abs(values[:, 0]) < 0.7
    plain = values[:, 0] + chance.normal(size=800) > 0
    for outcomes, n, has_trees in ((middle, 800, True), (plain, 800, False), (middle, 300, False)):
        model = ScoreFit(1).fit(values[:n], outcomes[:n], clusters[:n]).model
        assert model is not None
        assert bool(model.trees) == has_trees
        assert model.trees_share == (score.TREES_SHARE if has_trees else 0.0)


def test_a_fit_is_calibrated_and_ranks() -> None:
    """Probabilities of files that it did not see mean what they say."""
    decisions = of_walks(scored_walks(60), made_up_run(), name="invented")
    assert decisions.evidence is not None
    found = cross_fit(decisions, decisions.evidence, lambda: ScoreFit(1), 1)
    assert abs(found.mean() - decisions.accepted.mean()) < 0.05
    sure = found > np.median(found)
    assert decisions.accepted[sure].mean() > decisions.accepted[~sure].mean() + 0.3


def test_a_run_without_evidence_has_no_score_to_judge() -> None:
    """Runs of before are judged as before."""
    assert of_walks(many_walks(), made_up_run(), name="old").evidence is None


def test_the_command_writes_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With where it comes from; what the machine's speed says is left out."""
    run = write_run(tmp_path / "r.jsonl", scored_walks())
    target = tmp_path / "model.json"
    assert run_command(monkeypatch, f"--runs={run}", f"--fit={target}") == 0
    model = decode(target.read_bytes(), "x")
    assert model.provenance.n == 240
    assert model.provenance.model_sha256 == made_up_run().model_sha256
    assert model.weights[NAMES.index("log_latency")] == 0
    assert model.scales[NAMES.index("log_latency")] == 0
    assert len(model.quantiles) > 100
    assert "240 suggestions" in capsys.readouterr().out


def test_a_fit_needs_evidence(tmp_path: Path) -> None:
    """The refusal says what to run."""
    run = write_run(tmp_path / "r.jsonl", many_walks())
    with pytest.raises(UsageError) as caught:
        score.rows_of([run])
    assert caught.value.code == "no_evidence"


def test_runs_with_evidence_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The score stands in the table beside those it is to beat."""
    run = write_run(tmp_path / "r.jsonl", scored_walks(6))
    decisions = write_decisions(tmp_path / "d.csv", 120, 4)
    output = tmp_path / "out.jsonl"
    arguments = (f"--runs={run}", f"--decisions={decisions}", f"--output={output}", "--markdown")
    assert run_command(monkeypatch, *arguments) == 0
    printed = capsys.readouterr().out
    assert SCORE in printed
    assert "trees with the developer's past" in printed


def row(**changes: float) -> dict[str, float]:
    """A decision."""
    fields = {"accepted": 0.0, "cursor_offset": 10, "document_chars": 100, "n_chars": 20}
    return {**fields, "mean_logprob": -0.5, **changes}


def test_the_past_is_strictly_before() -> None:
    """A decision's own outcome, and later ones, change none of its features."""
    rows = [row(accepted=1.0), row(), row(accepted=1.0), row()]
    other: list[dict[str, Any]] = [*rows[:2], row(), row(accepted=1.0)]
    one, two = past.history(rows, "aaaa"), past.history(other, "aaaa")
    assert (one[:3] == two[:3]).all()
    assert (one[3] != two[3]).any()


def test_developers_do_not_mix() -> None:
    """Each has a past of their own."""
    rows = [row(accepted=1.0), row(), row(accepted=1.0), row()]
    assert (past.history(rows, "abab")[3] == past.history([rows[1], rows[3]], "bb")[1]).all()
    assert past.history(rows, "aaaa").shape == (4, len(past.NAMES))


def test_who_accepts_more_than_expected() -> None:
    """The surprise is above zero from the next decision on, and fades."""
    expected = np.full(4, 0.5)
    accepted = np.array([True, False, False, False])
    found = past._surprises(expected, accepted, np.array(list("aaaa")))
    assert found[0, 0] == 0
    assert found[1, 0] > 0 > found[3, 0]
