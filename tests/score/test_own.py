"""What is learned from the user's own decisions."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from lsp_server.score import own as learned
from lsp_server.score import scorer
from lsp_server.score.own import FILE, N_LEAST, N_WHOLE, Decision, Own, fit, load, reset, save
from lsp_server.score.scorer import Scorer
from tests.score.makers import LENGTH, decisions, model


def known(**changes: object) -> Own:
    """What was learned by hand."""
    own = Own(base=learned.fingerprint(model()), n=300, ts=1.0, slope=1.0, shift=-1.0)
    return msgspec.structs.replace(own, **changes)


def mean(own: Own, rows: list[Decision]) -> float:
    """Mean probability."""
    return sum(own.probability(model(), row.features) for row in rows) / len(rows)


def test_too_few_decisions_teach_nothing() -> None:
    """Neither do such that all ended alike."""
    assert fit(model(), decisions(N_LEAST - 1)) is None
    assert fit(model(), [each._replace(accepted=False) for each in decisions(N_LEAST)]) is None


def test_a_few_hundred_scale_and_shift() -> None:
    """A user who accepts less gets lower probabilities, in the same order."""
    rows = decisions(600, shift=-1.5)
    own = fit(model(), rows)
    assert own is not None
    assert own.weights == ()
    rate = sum(row.accepted for row in rows) / len(rows)
    before = sum(model().probability(row.features) for row in rows) / len(rows)
    assert abs(mean(own, rows) - rate) < 0.02 < abs(before - rate)


def test_many_move_every_weight() -> None:
    """A user who minds long suggestions, which the shipped model does not know, is learned."""
    own = fit(model(), decisions(N_WHOLE * 2, length=-1.0))
    assert own is not None
    assert own.weights[LENGTH] < -0.4
    assert all(abs(w) < 0.1 for n, w in enumerate(own.weights) if n != LENGTH)


def test_only_the_newest_count() -> None:
    """Older decisions are those of another habit."""
    old = [each._replace(accepted=True) for each in decisions(500)]
    own = fit(model(), [*old, *decisions(learned.N_MOST, shift=-2.0, seed=2)])
    assert own is not None
    assert own.n == learned.N_MOST
    assert own.n_decisions == learned.N_MOST + 500
    assert own.shift < -1.5


def test_it_is_kept(tmp_path: Path) -> None:
    """What is written is what is read, by this user only."""
    save(known(), tmp_path)
    assert load(model(), tmp_path) == known()
    assert os.stat(tmp_path / FILE).st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half-written is ever read, and nothing is left over."""
    save(known(), tmp_path)

    def fails(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space"):
        save(known(shift=5.0), tmp_path)
    assert load(model(), tmp_path) == known()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff", b'{"base":"x","n":1,"ts":1,"slope":0,"shift":0}']
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, data: bytes) -> None:
    """The shipped model is used then, and the next learning writes a new file."""
    (tmp_path / FILE).write_bytes(data)
    assert load(model(), tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == [f"{FILE}.damaged"]


@pytest.mark.parametrize(
    "changes", [{"base": "another"}, {"features": 99}, {"format": 99}, {"weights": (1.0, 2.0)}]
)
def test_what_was_learned_for_another_model_is_not_used(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    """It stays there, for the version that wrote it."""
    save(known(**changes), tmp_path)
    assert load(model(), tmp_path) is None
    assert (tmp_path / FILE).exists()


def test_it_can_be_forgotten(tmp_path: Path) -> None:
    """With what was set aside."""
    save(known(), tmp_path)
    (tmp_path / f"{FILE}.damaged").write_bytes(b"")
    assert reset(tmp_path)
    assert not reset(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_threshold_follows_what_was_learned() -> None:
    """Who accepts less has more held back for the same target."""
    plain, strict = Scorer(model()), Scorer(model(), known(shift=-2.0))
    row = decisions(1)[0].features
    assert plain.least(0) == strict.least(0) == 0.0
    assert strict.least(0.75) > 0
    low, high = strict.probability(row), plain.probability(row)
    assert low is not None
    assert high is not None
    assert low < high


def test_without_a_model_nothing_is_said() -> None:
    """All is shown."""
    assert Scorer(None).probability((0.0,)) is None
    assert Scorer(None).least(0.9) == 0.0


def test_learning_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned stays, and is not used."""
    monkeypatch.setattr(scorer, "shipped", model)
    save(known(), tmp_path)
    assert scorer.load(tmp_path).own == known()
    assert scorer.load(tmp_path, own=False).own is None
