"""The fit of the score that midfill ships, and what is known of a developer's past."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.calibration import past, score
from benchmarks.calibration.data import Decisions, of_walks
from benchmarks.calibration.folds import one_thread
from benchmarks.calibration.models import SCORE, VARIANTS, Pool, Variant, cross_fit, predictors
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
            known = evidence(text, logprob, logprob / 2, end_logprob=-0.1, latency_ms=9.0 * line)
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
    with one_thread():
        fitted.fit(values, accepted)
    trees = exported(fitted)
    bias = float(fitted._baseline_prediction.ravel()[0])
    ours = [bias + sum(leaf_of(tree, row) for tree in trees) for row in values.tolist()]
    assert ours == pytest.approx(list(fitted.decision_function(values)), abs=1e-4)


def test_the_logistic_says_what_scikit_learn_says() -> None:
    """The weights that are shipped are the mean of its own, of fits that shrink the rest more."""
    linear = pytest.importorskip("sklearn.linear_model")
    rows = score.rows_of_walks(scored_walks())
    model = score._linear(rows.features, rows.accepted)
    standard = np.array([model.standard(row) for row in rows.features.tolist()])
    theirs = np.zeros(len(standard))
    for rest in score.RESTS:
        strength = np.array([score._strength(name, rest) for name in NAMES])
        fitted = linear.LogisticRegression(C=1.0, max_iter=2000)
        fitted.fit(standard * strength, rows.accepted)
        theirs += fitted.decision_function(standard * strength) / len(score.RESTS)
    ours = [model.logit(row) for row in rows.features.tolist()]
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert model.trees == ()


def test_many_rows_are_standardised_as_one_is() -> None:
    """The fit standardises all rows at once, the server one; both say the same."""
    rows = score.rows_of_walks(scored_walks(8))
    model = score._linear(rows.features, rows.accepted)
    values = rows.features.copy()
    values[0], values[1, ::2], values[2, ::2] = np.nan, 1e9, -1e9
    ours = [model.standard(row) for row in values.tolist()]
    assert score._standard(model, values) == pytest.approx(np.array(ours))


def test_what_counts_in_full_are_features() -> None:
    """A name that is no feature would count for nothing, and nobody would see it."""
    assert set(NAMES) >= score.CORE
    assert set(NAMES) >= score._LEFT_OUT
    assert not score.CORE & score._LEFT_OUT


def test_trees_are_taken_where_they_say_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows that they did not see, and only where there are enough rows."""
    chance = np.random.default_rng(2)
    values = np.zeros((800, len(NAMES)))
    values[:, 0] = chance.normal(size=800)
    clusters = [str(number % 40) for number in range(800)]
    # Neither low nor high: no line parts these.
    middle = np.abs(values[:, 0]) < 0.7

    def share(n: int) -> float:
        model = ScoreFit(1).fit(values[:n], middle[:n], clusters[:n]).model
        assert model is not None
        assert bool(model.trees) == (model.trees_share > 0)
        return model.trees_share

    assert share(800) == max(score.SHARES)
    assert share(300) == 0.0

    class Wrong:
        def decision_function(self, values: Any) -> Any:
            return 9 * chance.normal(size=len(values))

    monkeypatch.setattr(score, "_grown", lambda *_: Wrong())
    assert share(800) == 0.0


def test_a_fit_is_calibrated_and_ranks() -> None:
    """Probabilities of files that it did not see mean what they say."""
    decisions = of_walks(scored_walks(60), made_up_run(), name="invented")
    found = Pool([decisions], 1).probabilities(decisions, Variant(n_folds=5))
    assert abs(found.mean() - decisions.accepted.mean()) < 0.05
    sure = found > np.median(found)
    assert decisions.accepted[sure].mean() > decisions.accepted[~sure].mean() + 0.3


def test_a_file_is_left_out_of_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs ask at the same places: what one says of a file would give the other away."""
    runs = [
        of_walks(scored_walks(6, seed), made_up_run(code=f"c{seed}"), name="x") for seed in (1, 2)
    ]
    seen: list[tuple[set[str], int]] = []

    class Fit(ScoreFit):
        def fit(self, values: Any, accepted: Any, clusters: Any) -> ScoreFit:
            seen.append((set(clusters), len(accepted)))
            return super().fit(values, accepted, clusters)

    monkeypatch.setattr("benchmarks.calibration.models.ScoreFit", Fit)
    pool = Pool(runs, 1)
    found = [pool.probabilities(run) for run in runs]

    # Six fits for both: five files of ten suggestions, of two runs.
    assert [(len(files), n) for files, n in seen] == [(5, 100)] * 6
    assert [len(each) for each in found] == [60, 60]
    assert not np.array_equal(found[0], found[1])


def test_a_run_alone_is_a_pool_of_one() -> None:
    """The score is judged the same whether it is named alone or with a run without evidence."""
    alone = of_walks(scored_walks(6), made_up_run(), name="x")
    other = of_walks(many_walks(), made_up_run(code="other"), name="y")
    mine = predictors(alone, 1)[SCORE]()
    assert np.array_equal(mine, predictors(alone, 1, Pool([alone, other], 1))[SCORE]())
    assert SCORE not in predictors(other, 1, Pool([alone, other], 1))


def test_variants_know_less() -> None:
    """A learning curve has fewer files; what stands below the cursor can be left out."""
    decisions = of_walks(scored_walks(16), made_up_run(), name="x")
    pool = Pool([decisions], 1)
    assert list(pool.variants(decisions)) == list(VARIANTS)
    assert not Pool([], 1).variants(of_walks(scored_walks(6), made_up_run(), name="y"))
    whole = pool.probabilities(decisions, Variant(n_folds=4))
    # The suggestions here differ by their log-probs alone.
    others = frozenset(name for name in NAMES if "log" not in name)
    blind = Variant(without=others, n_folds=4)
    nothing = Variant(without=frozenset(NAMES) - {"has_digit"}, n_folds=4)
    assert np.ptp(whole) > 0.3
    assert np.ptp(pool.probabilities(decisions, blind)) > 0.3
    assert np.ptp(pool.probabilities(decisions, nothing)) < 0.2


def test_a_share_of_the_files_is_what_a_fit_sees() -> None:
    """Each fold draws its own; the file that is judged is in none."""
    seen: list[set[float]] = []

    class ByHeart:
        def fit(self, features: Any, outcomes: Any) -> ByHeart:
            seen.append(set(features[:, 0]))
            return self

        def predict_proba(self, features: Any) -> Any:
            assert not set(features[:, 0]) & seen[-1]
            return np.full((len(features), 2), 0.5)

    numbers = np.arange(200.0)
    decisions = Decisions(
        name="invented", key="invented", clusters=tuple(str(n // 5) for n in range(200)),
        shown=np.ones(200, dtype=np.bool_), accepted=numbers % 2 == 0,
        feature_names=("number",), features=numbers[:, None], scores={},
    )  # fmt: skip
    cross_fit(decisions, decisions.features, ByHeart, 1, n_folds=10, share=0.25)
    assert len(seen) == 10
    assert all(20 <= len(each) <= 50 for each in seen)
    assert len({frozenset(each) for each in seen}) == 10


def test_each_run_has_its_own_mode(tmp_path: Path) -> None:
    """What is fitted to is the main suffix mode of each run, not of all of them together."""
    full, empty = scored_walks(4, 1), scored_walks(4, 2)
    empty = [msgspec.structs.replace(one, suffix="empty") for one in empty]
    both = [write_run(tmp_path / "a.jsonl", full), write_run(tmp_path / "b.jsonl", empty)]
    assert len(score.rows_of(both).accepted) == 80
    assert len(score.rows_of([write_run(tmp_path / "c.jsonl", [*full, *empty])]).accepted) == 40


def test_a_run_without_evidence_has_no_score_to_judge() -> None:
    """Runs of before are judged as before."""
    assert of_walks(many_walks(), made_up_run(), name="old").evidence is None


def test_the_command_writes_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With where it comes from; what the machine's speed says has no weight."""
    run = write_run(tmp_path / "r.jsonl", scored_walks())
    target = tmp_path / "model.json"
    assert run_command(monkeypatch, f"--runs={run}", f"--fit={target}") == 0
    model = decode(target.read_bytes(), "x")
    assert model.provenance.n == 240
    assert model.provenance.model_sha256 == made_up_run().model_sha256
    assert model.weights[NAMES.index("log_latency")] == 0
    # The user's own fit may use it.
    assert model.scales[NAMES.index("log_latency")] > 0
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
    """The log-odds rise with what went against them before, and never by what comes later."""
    logits = np.array([0.0, -1.0, -1.0, -1.0])
    accepted = np.array([True, True, False, False])
    found = past.shifted(logits, accepted, np.array(list("aaaa")), 0.5)
    assert found[0] == logits[0]
    assert found[2] > found[1] > logits[1]
    assert found[3] < found[2]
    later = past.shifted(logits, ~accepted, np.array(list("aaaa")), 0.5)
    assert later[0] == found[0]
    other = past.shifted(logits, accepted, np.array(list("aabb")), 0.5)
    assert other[2] == logits[2]


def test_the_shift_is_the_likeliest_one() -> None:
    """Where the surprise and the pull to zero are level; without a spread nothing moves."""
    logits, accepted = np.array([0.3, -0.2, 0.1]), np.array([True, True, False])
    shift = past._likeliest_shift(logits, accepted, 0.4, 0.0)
    p = 1 / (1 + np.exp(-(logits + shift)))
    assert (accepted - p).sum() == pytest.approx(shift / 0.4**2, abs=1e-5)
    assert (past.shifted(logits, accepted, np.array(list("aaa")), 0.0) == logits).all()


def test_settings_are_chosen_among_other_developers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is judged has no say in how the past is used."""
    monkeypatch.setattr(past, "_N_BAGGED", 1)
    monkeypatch.setattr(past, "_TREES", ((1, 10),))
    chance = np.random.default_rng(3)
    values, accepted = chance.normal(size=(120, 3)), chance.random(120) < 0.4
    names = [str(number // 20) for number in range(120)]
    asked: list[int] = []

    def choose(values: Any, accepted: Any, developers: Any, seed: int) -> past.Settings:
        asked.append(len(set(developers)))
        return past.Settings(1, 10, 0.4)

    monkeypatch.setattr(past, "choose", choose)
    found = past.with_history(values, values[:, :1], accepted, names, 25, 1)
    assert asked == [5] * 6
    assert ((found > 0) & (found < 1)).all()


def test_a_spread_is_chosen_where_developers_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two who take nearly everything and two who take hardly anything."""
    monkeypatch.setattr(past, "_N_BAGGED", 1)
    monkeypatch.setattr(past, "_TREES", ((1, 10),))
    chance = np.random.default_rng(4)
    names = np.array(list("abcd")).repeat(60)
    accepted = chance.random(240) < np.where(names < "c", 0.85, 0.15)
    chosen = past.choose(chance.normal(size=(240, 2)), accepted, names, 1)
    assert chosen.spread == max(past._SPREADS)
