"""Whether an accept is known before a suggestion is shown."""

from __future__ import annotations

import csv
import json
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.calibration import command, past
from benchmarks.calibration.data import Decisions, human, of_walks, replayed
from benchmarks.calibration.measures import TARGETS, quality, thresholded
from benchmarks.calibration.models import LOGISTIC, TREES, cross_fit, predictors
from benchmarks.records import RunFile
from benchmarks.replay.types import Walk
from lsp_server.errors import UsageError
from tests.benchmarks.makers import made_up_run
from tests.benchmarks.walks import many_walks, opportunity, walk

COLUMNS = (
    *("developer", "accepted", "mean_logprob", "mean_alternative_logprob", "n_chars", "n_lines"),
    *("n_tokens", "document_chars", "cursor_offset", "line_chars_before", "line_blank", "opens"),
    *("in_comment", "suggestion_has_comment", "unbalanced", "edited_share_0"),
)


def write_decisions(path: Path, n: int = 240, n_developers: int = 8, **changes: Any) -> Path:
    """Invented decisions: the surer and the shorter, the more often accepted."""
    chance = random.Random(4)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for number in range(n):
            logprob, n_chars = -2 * chance.random(), chance.randrange(1, 80)
            accepted = chance.random() < math.exp(logprob) * (1 - n_chars / 160)
            row = dict.fromkeys(COLUMNS, 0) | {
                "developer": number % n_developers,
                "accepted": int(accepted),
                "mean_logprob": logprob,
                "mean_alternative_logprob": -3 - chance.random(),
                "n_chars": n_chars,
                "n_tokens": 1 + n_chars // 4,
                "n_lines": 1,
                "document_chars": 500,
                # Says everything; nobody knows it before.
                "edited_share_0": int(accepted),
            }
            writer.writerow({**row, **changes})
    return path


def write_run(path: Path, walks: list[Walk]) -> Path:
    """A results file of a replay."""
    file: RunFile[Walk] = RunFile(path, made_up_run(), Walk)
    for one in walks:
        file.append(one)
    return path


def known(probabilities: list[float], accepted: list[int], clusters: str) -> Decisions:
    """Decisions with nothing but a score."""
    scores = np.array(probabilities)
    return Decisions(
        name="invented",
        key="invented",
        clusters=tuple(clusters),
        shown=~np.isnan(scores),
        accepted=np.array(accepted, dtype=np.bool_),
        feature_names=("score",),
        features=scores[:, None],
        scores={"score": scores},
    )


def test_decisions_of_developers(tmp_path: Path) -> None:
    """A row is a suggestion; what is known after the accept only is no feature."""
    decisions = human(write_decisions(tmp_path / "d.csv"))

    assert decisions.shown.all()
    assert decisions.n_clusters == 8
    assert decisions.features.shape == (240, len(decisions.feature_names))
    for column in decisions.features.T:
        assert len(set(column)) == 1 or abs(np.corrcoef(column, decisions.accepted)[0, 1]) < 0.9


def test_published_logistic(tmp_path: Path) -> None:
    """The published formula, without its term for the language."""
    path = write_decisions(
        tmp_path / "d.csv", mean_logprob=-0.5, mean_alternative_logprob=-4, n_chars=19
    )

    expected = 2.98 - 0.839 * math.log(20) + 1.503 * -0.5 - 0.238 * -4
    assert human(path).scores["published logistic"] == pytest.approx([expected] * 240)


def test_replays_are_decisions_too(tmp_path: Path) -> None:
    """Of one suffix mode, with what was not shown among the opportunities."""
    walks = [*many_walks(), *many_walks(suffix="empty")]
    decisions = replayed(write_run(tmp_path / "r.jsonl", walks))

    assert len(decisions.shown) == 180
    assert 0 < np.count_nonzero(~decisions.shown) < 60
    assert decisions.n_clusters == 12
    assert not (decisions.accepted & ~decisions.shown).any()


def test_the_developers_line_is_no_feature() -> None:
    """The same suggestion at the same place has the same features, whatever the developer wrote."""
    pairs = [
        of_walks([walk([opportunity(target=target, in_comment=flag)])], made_up_run(), name="x")
        for target, flag in (("# total of all", True), ("value = compute(first, second)", False))
    ]

    assert np.array_equal(pairs[0].features, pairs[1].features)
    assert pairs[0].accepted.tolist() != pairs[1].accepted.tolist()


def test_no_fit_sees_the_cluster_it_judges() -> None:
    """A classifier that learns clusters by heart knows nothing of a new one."""
    seen: list[set[float]] = []
    asked: list[set[float]] = []

    class ByHeart:
        def fit(self, features: Any, outcomes: Any) -> ByHeart:
            seen.append(set(features[:, 0]))
            return self

        def predict_proba(self, features: Any) -> Any:
            asked.append(set(features[:, 0]))
            return np.full((len(features), 2), 0.5)

    numbers = [float(n // 5) for n in range(200)]
    decisions = known(
        numbers, [n % 2 for n in range(200)], "".join(chr(97 + n // 5) for n in range(200))
    )
    probabilities = cross_fit(decisions, decisions.features, ByHeart, seed=1)

    assert all(not (train & test) for train, test in zip(seen, asked, strict=True))
    assert set.union(*asked) == set(numbers)
    assert len(asked) == 25
    assert (probabilities == 0.5).all()


def test_what_was_not_shown_has_no_probability() -> None:
    """It is neither learned from nor judged."""
    decisions = known([0.1, 0.9, math.nan, 0.2, 0.8, 0.3, 0.7], [0, 1, 0, 0, 1, 0, 1], "aabbbcc")
    probabilities = predictors(decisions, 1)["score"]()

    assert np.isnan(probabilities).tolist() == [False, False, True, False, False, False, False]


@pytest.mark.parametrize(
    ("accepted", "clusters", "code"),
    [([0, 1, 0, 1], "aaaa", "too_few_clusters"), ([0, 0, 0, 1], "aabb", "one_outcome")],
)
def test_what_cannot_be_fitted_is_an_error(accepted: list[int], clusters: str, code: str) -> None:
    """The error names the data and says what to do."""
    decisions = known([0.1, 0.2, 0.3, 0.4], accepted, clusters)

    with pytest.raises(UsageError) as caught:
        predictors(decisions, 1)["score"]()
    assert caught.value.code == code
    assert caught.value.hint


def test_perfect_calibration() -> None:
    """Probabilities that mean what they say have no calibration error."""
    probabilities = [0.25] * 40 + [0.75] * 40
    accepted = ([1] + [0] * 3) * 10 + ([1] * 3 + [0]) * 10
    found = quality("score", known(probabilities, accepted, "abcd" * 20), np.array(probabilities))

    assert found.ece.value == pytest.approx(0, abs=1e-12)
    assert found.brier.value == pytest.approx(0.25 * 0.75)
    assert found.reliability.x == found.reliability.y == (0.25, 0.75)


def test_overconfidence_is_a_calibration_error() -> None:
    """Half of what is said to be certain is right."""
    probabilities = [0.999] * 20
    found = quality("score", known(probabilities, [0, 1] * 10, "abcd" * 5), np.array(probabilities))

    assert found.ece.value == pytest.approx(0.499)
    assert found.ranking.auc.value == 0.5


def test_targets_are_reached_by_probabilities_that_are_true() -> None:
    """So many of the shown are accepted, and what is not shown is counted as lost."""
    chance = random.Random(7)
    probabilities = [chance.random() for _ in range(4000)]
    accepted = [int(chance.random() < p) for p in probabilities]
    found = thresholded(known(probabilities, accepted, "abcd" * 1000), np.array(probabilities))

    assert [each.target for each in found] == list(TARGETS)
    for each in found:
        assert each.accepted.value == pytest.approx(max(each.target, 0.5), abs=0.03)
    # All together are good enough for the lowest ones: nothing is held back.
    assert found[0].shown.value == found[0].kept.value == 1
    kept = [each.kept.value for each in found]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < 0.75


def test_targets_of_overconfident_probabilities_are_missed() -> None:
    """Which is what the table is there to show."""
    found = thresholded(known([0.9] * 20, [0, 1] * 10, "abcd" * 5), np.array([0.9] * 20))
    assert found[-1].accepted.value == 0.5


def test_models_learn_what_is_there(tmp_path: Path) -> None:
    """Both models rank better than chance, and better than a score that is noise."""
    decisions = human(write_decisions(tmp_path / "d.csv", n=400))
    work = predictors(decisions, 1)

    for name in (LOGISTIC, TREES):
        found = quality(name, decisions, work[name]())
        assert found.ranking.auc.low > 0.5


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run ``python -m benchmarks calibration``, with trees that are grown in a moment."""
    monkeypatch.setattr(past, "_TREES", ((1, 10), (2, 10)))
    monkeypatch.setattr("sys.argv", ["benchmarks", "calibration", *arguments])
    return benchmarks.main()


def test_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Decisions and replays are judged side by side; a second run fits nothing anew."""
    arguments = [
        f"--decisions={write_decisions(tmp_path / 'd.csv')}",
        f"--runs={write_run(tmp_path / 'r.jsonl', many_walks())}",
        f"--output={tmp_path / 'out.jsonl'}",
        "--json",
    ]
    assert run_command(monkeypatch, *arguments) == 0
    summary = json.loads(capsys.readouterr().out)

    titles = [table["title"] for table in summary["tables"]]
    assert "P(accept), human decisions" in titles
    assert "P(accept), replay, 0.5b-instruct-q4" in titles
    assert len(summary["plots"]) == 4
    assert {verdict["outcome"] for verdict in summary["verdicts"]} <= {"ahead", "level", "behind"}
    assert summary["n"] == 420
    assert "nan" not in summary["headline"]

    def no_fit(*_: Any) -> None:
        raise AssertionError("fitted anew")

    monkeypatch.setattr("benchmarks.calibration.models.cross_fit", no_fit)
    assert run_command(monkeypatch, *arguments) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["headline"], again["tables"]) == (summary["headline"], summary["tables"])


def test_missing_decisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says where the data comes from."""
    assert run_command(monkeypatch, f"--decisions={tmp_path / 'none.csv'}") == 2
    assert "microsoft/coderec_programming_states" in capsys.readouterr().err


def test_replays_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the default decisions are not there, replays are judged without them."""
    monkeypatch.setattr(command, "_DECISIONS", tmp_path / "none.csv")
    path = write_run(tmp_path / "r.jsonl", many_walks())

    assert run_command(monkeypatch, f"--runs={path}", "--markdown") == 0
    text = capsys.readouterr().out
    assert "human decisions" not in text
    assert "not a measured human adoption rate" in text


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\xff\xfe", "{}"])
def test_other_files_are_no_decisions(tmp_path: Path, content: str) -> None:
    """Neither an empty file nor one with other columns."""
    path = tmp_path / "d.csv"
    path.write_bytes(content.encode("latin-1"))

    with pytest.raises(UsageError) as caught:
        human(path)
    assert caught.value.code == "not_decisions"


def test_a_run_without_suggestions(tmp_path: Path) -> None:
    """There is nothing to calibrate."""
    path = write_run(tmp_path / "r.jsonl", [walk([opportunity("")])])

    with pytest.raises(UsageError) as caught:
        replayed(path)
    assert caught.value.code == "no_suggestions"


def test_records_hold_probabilities() -> None:
    """A record is JSON with null where nothing was shown."""
    record = command.Fitted(decisions="d", name="n", probabilities=(0.5, None))

    assert msgspec.json.decode(msgspec.json.encode(record), type=command.Fitted) == record
    assert record.key == "d|n"
