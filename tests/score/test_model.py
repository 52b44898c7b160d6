"""The model of P(accept), its file, and the threshold."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest

from lsp_server.errors import StoreError
from lsp_server.score.features import NAMES, features
from lsp_server.score.model import (
    Node,
    coverage_above,
    decode,
    encode,
    leaf_of,
    shipped,
    sigmoid,
    threshold,
)
from tests.score.makers import SUM, evidence, model

TREE = (Node(SUM, -1.0, 1, 2, True), Node(-1, value=-2.0), Node(-1, value=3.0))


def row(value: float) -> list[float]:
    """Features that are 0 but for the sum of log-probabilities."""
    return [value if number == SUM else 0.0 for number in range(len(NAMES))]


def test_the_logistic() -> None:
    """Log-odds are the weighted features; far-out ones count as four deviations."""
    assert model().logit(row(-1.5)) == -1.5
    assert model().logit(row(-99.0)) == -4.0
    assert model(slope=2.0, shift=1.0).logit(row(1.0)) == 3.0


def test_what_is_not_known_counts_as_the_mean() -> None:
    """So does what never changed."""
    assert model(bias=0.5).logit(row(math.nan)) == 0.5
    assert model(scales=(0.0,) * len(NAMES)).logit(row(3.0)) == 0.0


@pytest.mark.parametrize(("value", "leaf"), [(-1.0, -2.0), (-0.9, 3.0), (math.nan, -2.0)])
def test_trees(value: float, leaf: float) -> None:
    """Values up to the threshold go left; unknown ones as the tree says."""
    assert leaf_of(TREE, row(value)) == leaf


def test_logistic_and_trees_are_mixed() -> None:
    """By the share of the trees."""
    mixed = model(trees=(TREE, TREE), trees_bias=1.0, trees_share=0.25)
    assert mixed.logit(row(1.0)) == pytest.approx(0.75 * 1.0 + 0.25 * 7.0)


def test_a_file_holds_the_model() -> None:
    """What is written is what is read."""
    whole = model(trees=(TREE,), trees_share=0.5)
    assert decode(encode(whole), "x") == whole


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": 99}, "score_version"),
        ({"features": 99}, "score_version"),
        ({"names": ["other"]}, "score_version"),
        ({"weights": [1.0]}, "score_damaged"),
        ({"bias": None}, "score_damaged"),
        ({"scales": ["a"] * len(NAMES)}, "score_damaged"),
        ({"trees": [[]]}, "score_damaged"),
        ({"trees": [[[0, 1.0, 0, 0, False, 0.0]]]}, "score_damaged"),
        ({"trees": [[[999, 1.0, 1, 2], [-1], [-1]]]}, "score_damaged"),
    ],
)
def test_files_that_are_refused(change: dict[str, Any], code: str) -> None:
    """Another version or a damaged file is named as such; a tree can never loop."""
    data = json.dumps({**json.loads(encode(model())), **change}).encode()
    with pytest.raises(StoreError) as caught:
        decode(data, "x")
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    """Whatever is in the file."""
    with pytest.raises(StoreError) as caught:
        decode(data, "x")
    assert caught.value.code == "score_damaged"


def test_the_shipped_model_can_be_used() -> None:
    """It says where it comes from, and finds a sure suggestion likelier than a doubtful one."""
    found = shipped()
    assert found.provenance.n > 100
    assert found.provenance.model_sha256
    assert found.provenance.date
    assert list(found.quantiles) == sorted(found.quantiles)
    sure = found.probability(
        features(evidence("compute(first)", -0.001, -0.001, end_logprob=-0.01))
    )
    doubtful = found.probability(features(evidence("compute(first)", -3.0, -4.0, end_logprob=-3.0)))
    assert 0 < doubtful < sure < 1


def test_the_shipped_file_is_written_like_any_other() -> None:
    """Fitting it again changes the numbers, not the form."""
    assert decode(encode(shipped()), "x") == shipped()


def test_threshold_reaches_its_target() -> None:
    """As many are shown as keep the expected acceptance of the shown at the target."""
    known = [number / 100 for number in range(101)]
    for target in (0.6, 0.75, 0.9):
        least = threshold(known, target)
        shown = [p for p in known if p >= least]
        more = [p for p in known if p >= least - 0.01]
        assert sum(shown) / len(shown) >= target - 1e-9
        assert sum(more) / len(more) < target


def test_thresholds_at_the_ends() -> None:
    """Nothing is held back where all together are good enough; a target nobody reaches stays."""
    assert threshold([0.8, 0.9], 0.5) == 0.0
    assert threshold([0.1, 0.2], 0.9) == 0.9
    assert threshold([], 0.9) == 0.9


def test_coverage_of_a_threshold() -> None:
    """The share of probabilities that reach it."""
    assert coverage_above([0.1, 0.2, 0.3, 0.4], 0.3) == 0.5
    assert coverage_above([], 0.3) == 1.0


def test_sigmoid_has_no_overflow() -> None:
    """However sure."""
    assert 0 < sigmoid(-1e9) < 1e-9
    assert 1 - 1e-9 < sigmoid(1e9) < 1


def test_a_model_is_frozen() -> None:
    """It is shared by all requests."""
    with pytest.raises(AttributeError):
        model().bias = 1.0  # type: ignore[misc]
    assert msgspec.structs.replace(model(), bias=1.0).bias == 1.0
