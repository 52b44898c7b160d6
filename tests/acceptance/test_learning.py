"""Decisions from the log, and what is learned from them."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from lsp_server.acceptance import learning
from lsp_server.acceptance.events import Event, PartiallyAccepted, Shown, to_row
from lsp_server.acceptance.store import EventStore
from lsp_server.errors import StoreError
from lsp_server.score import own as learned
from lsp_server.score.features import NAMES, VERSION
from lsp_server.score.own import N_LEAST, N_NEW
from tests.acceptance.makers import accepted, shown
from tests.score.makers import decisions, model


@pytest.fixture(autouse=True)
def invented_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shipped must not matter."""
    monkeypatch.setattr(learning, "shipped", model)


def scored(name: str, values: tuple[float, ...], version: int = VERSION) -> Shown:
    """A suggestion with features."""
    features = tuple(None if math.isnan(value) else value for value in values)
    return msgspec.structs.replace(shown(name), features=features, features_version=version)


def log(n: int, *, shift: float = -1.0, seed: int = 1) -> list[Event]:
    """Decisions of a user."""
    events: list[Event] = []
    for number, decision in enumerate(decisions(n, shift=shift, seed=seed)):
        name = f"{seed}-{number}"
        events.append(scored(name, decision.features))
        if decision.accepted:
            events.append(accepted(name))
    return events


def write(folder: Path, events: list[Event], writer: str = "w") -> None:
    """Log the events."""
    store = EventStore(folder)
    store.write([(writer, number, *to_row(event)) for number, event in enumerate(events)])
    store.close()


def test_decisions_are_what_was_scored() -> None:
    """Of this version's features; what was taken in part was taken."""
    values = (math.nan, *[0.5] * (len(NAMES) - 1))
    partly = PartiallyAccepted(completion_id="b", ts=1.0, session="s1", n_chars=3)
    found = learning.decisions(
        [scored("a", values), scored("b", values), partly, shown("c"), scored("d", values, 99),
         scored("e", values[:3])]
    )  # fmt: skip
    assert [each.accepted for each in found] == [False, True]
    assert math.isnan(found[0].features[0])
    assert found[0].features[1:] == values[1:]


def test_too_few_decisions(tmp_path: Path) -> None:
    """Nothing is learned, and nothing written."""
    write(tmp_path, log(N_LEAST - 1))
    assert learning.learn(tmp_path) is None
    assert not (tmp_path / learned.FILE).exists()


def test_enough_decisions(tmp_path: Path) -> None:
    """What is learned is there for the next session."""
    write(tmp_path, log(400, shift=-1.5))
    own = learning.learn(tmp_path)
    assert own is not None
    assert own.n == 400
    assert own.shift < -0.8
    assert learned.load(model(), tmp_path) == own


def test_it_is_fitted_again_when_enough_is_new(tmp_path: Path) -> None:
    """A few new decisions change nothing; who asks for it gets it at once."""
    write(tmp_path, log(400))
    first = learning.learn(tmp_path)
    write(tmp_path, log(N_NEW - 1, seed=2), "second")
    assert learning.learn(tmp_path) == first
    asked = learning.learn(tmp_path, always=True)
    assert asked is not None
    assert asked.n == 400 + N_NEW - 1
    write(tmp_path, log(N_NEW, seed=3), "third")
    again = learning.learn(tmp_path)
    assert again is not None
    assert again.n == 400 + 2 * N_NEW - 1


def test_what_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do about it."""
    write(tmp_path, log(400))

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(learned, "save", fails)
    with pytest.raises(StoreError) as caught:
        learning.learn(tmp_path)
    assert caught.value.code == "score_unwritable"
    assert caught.value.hint
