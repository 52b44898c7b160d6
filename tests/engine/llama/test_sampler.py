"""Sampling by llama.cpp's own chain, on logits made by hand: no model is loaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lsp_server.engine.llama.sampler import Sampler, picked, temperature_at
from lsp_server.types import SamplingParams

Pick = Callable[[Sequence[float]], int]


@pytest.fixture
def picking() -> Callable[..., Pick]:
    """Makes functions that pick a token by its logits."""

    def make(params: SamplingParams, accepted: Sequence[int] = ()) -> Pick:
        sampler = Sampler(None, params)
        for token in accepted:
            sampler.accept(token)
        return lambda logits: sampler.pick(np.array(logits, dtype=np.float32)).token

    return make


def params(**fields: float) -> SamplingParams:
    """Parameters without a cut at the top, unless one is asked for."""
    return SamplingParams(**{"top_p": 1.0} | fields)  # type: ignore[arg-type]


# -- the schedule ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [0.0, 0.0, 0.0]),
        ({"temperature": 0.8}, [0.8, 0.8, 0.8]),
        ({"temperature": 0.75, "temperature_decay": 0.5}, [0.75, 0.25, 0.0, 0.0]),
        (
            {"temperature": 1.0, "temperature_decay": 0.5, "temperature_floor": 0.25},
            [1.0, 0.5, 0.25, 0.25],
        ),
        ({"temperature": 0.0, "temperature_floor": 0.5}, [0.5, 0.5]),
    ],
)
def test_schedule(fields: dict[str, float], expected: list[float]) -> None:
    """The temperature falls by a step a token, and never below its floor or zero."""
    assert [temperature_at(params(**fields), i) for i in range(len(expected))] == expected


# -- the chain ---------------------------------------------------------------------------


def test_greedy_takes_the_likeliest(picking: Callable[..., Pick]) -> None:
    """At temperature 0 the highest logit wins, whatever the seed."""
    for seed in range(5):
        pick = picking(params(seed=seed))
        assert [pick([0.0, 0.1, 0.05]), pick([3.0, 2.9, 2.9])] == [1, 0]


def test_equal_seeds_give_equal_tokens(picking: Callable[..., Pick]) -> None:
    """The random choice is a function of the seed, and differs between seeds."""
    flat = [0.0] * 20
    texts = []
    for seed in (1, 1, 2):
        pick = picking(params(temperature=1.0, seed=seed))
        texts.append([pick(flat) for _ in range(30)])
    assert texts[0] == texts[1] != texts[2]
    assert len(set(texts[0])) > 10


def test_temperature_weighs_the_choice(picking: Callable[..., Pick]) -> None:
    """A hot choice spreads, a cold one hardly does."""

    def share(temperature: float) -> float:
        pick = picking(params(temperature=temperature, seed=3))
        return sum(pick([2.0, 0.0]) == 0 for _ in range(400)) / 400

    # The softmax of 2 / T: 0.73 at T = 2, 0.998 at T = 0.33.
    assert 0.65 < share(2.0) < 0.81
    assert share(0.33) > 0.98


def test_decay_ends_greedily(picking: Callable[..., Pick]) -> None:
    """Where the temperature has fallen to zero the likeliest token is taken from there on."""
    found = set()
    for seed in range(40):
        pick = picking(params(temperature=2.0, temperature_decay=1.0, seed=seed))
        tokens = [pick([0.1, 0.0, 0.0, 0.0]) for _ in range(6)]
        assert tokens[2:] == [0] * 4
        found.update(tokens[:2])
    assert found == {0, 1, 2, 3}


def test_decay_keeps_the_random_numbers(picking: Callable[..., Pick]) -> None:
    """Cooling down replaces the temperature alone: between equal logits, where it changes
    nothing, the choices are those of a constant temperature."""
    flat = [0.0] * 30
    constant = picking(params(temperature=1.0, seed=5))
    cooling = picking(
        params(temperature=1.0, temperature_decay=0.04, temperature_floor=0.1, seed=5)
    )
    assert [cooling(flat) for _ in range(30)] == [constant(flat) for _ in range(30)]


def test_decay_stops_at_the_floor(picking: Callable[..., Pick]) -> None:
    """With a floor the choice stays random for ever."""
    pick = picking(params(temperature=1.0, temperature_decay=0.5, temperature_floor=0.5, seed=1))
    tokens = [pick([0.0] * 8) for _ in range(60)]
    assert len(set(tokens[10:])) == 8


def test_top_p_cuts_what_is_unlikely(picking: Callable[..., Pick]) -> None:
    """Tokens beyond the given share of the probability are never picked."""
    pick = picking(params(temperature=1.0, top_p=0.92, seed=2))
    # Probabilities about 0.5, 0.45 and 0.05.
    assert {pick([2.3, 2.2, 0.0]) for _ in range(300)} == {0, 1}


def test_repeated_tokens_are_penalized(picking: Callable[..., Pick]) -> None:
    """A picked token counts against itself; without a penalty it is taken again."""
    logits = [1.0, 0.9, 0.0]
    plain, penalized = picking(params()), picking(params(repeat_penalty=1.5))
    assert [plain(logits), plain(logits)] == [0, 0]
    assert [penalized(logits), penalized(logits)] == [0, 1]


def test_tokens_from_elsewhere_are_penalized_too(picking: Callable[..., Pick]) -> None:
    """What healing generated is a repetition as well if it comes again."""
    pick = picking(params(repeat_penalty=1.5), accepted=[0])
    assert pick([1.0, 0.9, 0.0]) == 1


def test_the_penalty_outlives_the_cooling(picking: Callable[..., Pick]) -> None:
    """Replacing the end of the chain leaves what it remembers at its beginning."""
    pick = picking(params(temperature=0.01, temperature_decay=0.005, repeat_penalty=1.5, seed=1))
    logits = [1.0, 0.9, 0.8]
    # Each is divided once by 1.5 after its turn; then the first is the likeliest again.
    assert [pick(logits) for _ in range(4)] == [0, 1, 2, 0]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_large_vocabulary_is_narrowed_before_the_chain(
    picking: Callable[..., Pick], temperature: float
) -> None:
    """What is far below the likeliest token is left out; ids stay those of the vocabulary."""
    logits = [-30.0] * 150_000
    logits[77_777], logits[149_999] = 5.0, 4.9
    pick = picking(params(temperature=temperature, seed=1))
    expected = {77_777} if temperature == 0 else {77_777, 149_999}
    assert {pick(logits) for _ in range(40)} == expected


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_probability_is_the_models_own(temperature: float) -> None:
    """It is that before temperature, top-p and what else the chain does."""
    logits = np.array([2.0, 1.0, 0.0, -40.0], dtype=np.float32)
    sampler = Sampler(None, params(temperature=temperature, seed=1))
    pick = sampler.pick(logits)
    expected = logits.astype(np.float64) - np.log(np.exp(logits.astype(np.float64)).sum())
    assert pick.logprob == pytest.approx(expected[pick.token], abs=1e-6)


def test_how_sure_a_token_was() -> None:
    """The margin is to the likeliest other token; the entropy is that of the whole choice."""
    logits = np.array([2.0, 1.0, 0.0], dtype=np.float32)
    p = np.exp(logits) / np.exp(logits).sum()
    entropy = -float((p * np.log(p)).sum())
    best, second = picked(0, 2.0, logits), picked(1, 1.0, logits)
    assert (best.margin, second.margin) == (1.0, -1.0)
    assert best.entropy == second.entropy == pytest.approx(entropy, abs=1e-6)
    assert second.logprob == pytest.approx(math.log(p[1]), abs=1e-6)


def test_a_token_without_alternatives_is_certain() -> None:
    """Alone it has a wide margin and no entropy."""
    only = picked(3, 7.0, np.array([7.0], dtype=np.float32))
    assert only.logprob == only.entropy == 0.0
    assert only.margin > 10


def test_close_is_safe_twice() -> None:
    """The chain is freed once."""
    sampler = Sampler(None, params(temperature=1.0))
    sampler.close()
    sampler.close()


def test_a_banned_token_is_not_picked() -> None:
    """The likeliest other one is, and it is told that it was not the likeliest."""
    sampler = Sampler(None, params())
    pick = sampler.pick(np.array([3.0, 2.0, 1.0], dtype=np.float32), np.array([0], dtype=np.int32))
    assert pick.token == 1
    assert pick.margin == pytest.approx(-1.0)
    assert pick.logprob == pytest.approx(2.0 - math.log(math.e**3 + math.e**2 + math.e))
