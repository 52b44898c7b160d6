"""What may come next, by what came elsewhere."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from lsp_server.engine.llama import ngrams
from lsp_server.engine.llama.corpus import BORDER, Reading
from lsp_server.engine.llama.ngrams import Ngrams
from lsp_server.engine.llama.sampler import mixed


def reading(*texts: str, hidden: tuple[int, int] = (0, 0)) -> Reading:
    """Texts in which each sign is a token."""
    tokens = [token for text in texts for token in (*map(ord, text), BORDER)]
    return Reading(np.array(tokens, dtype=np.int32), hidden)


def expected(
    history: str, *readings: Reading, usable: Callable[[int], bool] = lambda _: True
) -> dict[str, float]:
    """Shares by sign."""
    model = Ngrams([*map(ord, history)], readings, usable)
    return {chr(token): share for token, share in model.expected().items()}


def test_what_followed_elsewhere_is_expected() -> None:
    """As many tokens must agree as do not agree by chance; fewer tell nothing."""
    assert [*expected("abcd", reading("xabcdef"))] == ["e"]
    assert expected("abcd", reading("xbcdef")) == {}
    assert expected("bcd", reading("bcdef")) == {}
    assert expected("abcd", reading("efgh")) == {}
    assert expected("abcd") == {}


def test_a_text_ends_where_it_ends() -> None:
    """Nothing is expected behind the last token, and no match goes over a border."""
    assert expected("abcd", reading("abcd", "efgh")) == {}
    assert expected("abcd", reading("ab", "cdef")) == {}


def test_longer_matches_count_more() -> None:
    """Beside a shorter one, and alone."""
    both = expected("xyzabcd", reading("zabcd1", "__abcd2", "xyzabcd3"))
    assert both["3"] > both["1"] > both["2"] > 0
    short = expected("abcdefgh", reading("efgh!"))["!"]
    long = expected("abcdefgh", reading("abcdefgh!"))["!"]
    assert 0 < short < long < 0.5


def test_more_places_count_more() -> None:
    """Where all of them go on alike; where they do not, each has its part."""
    one = expected("abcd", reading("abcd!"))["!"]
    four = expected("abcd", reading(*["abcd!"] * 4))["!"]
    assert one < four < 0.5
    apart = expected("abcd", reading("abcd!", "abcd!", "abcd?"))
    assert apart["?"] < apart["!"] < one


def test_shares_leave_the_model_its_half() -> None:
    """However sure the texts are."""
    shares = expected("x" * 30, reading(*["x" * 31] * 50))
    assert 0.49 < sum(shares.values()) <= 0.5


def test_all_readings_count() -> None:
    """The open file and the others."""
    shares = expected("abcd", reading("abcd!"), reading("abcd?"))
    assert shares["!"] == shares["?"]


def test_what_is_hidden_does_not_count() -> None:
    """Neither what stands there, nor a match whose next token does; what reaches in from before
    ends before it."""
    texts = reading("abcd1", "abcd2", "abcd3")
    assert {*expected("abcd", texts)} == {"1", "2", "3"}
    hidden = Reading(texts.tokens, (6, 11))
    assert {*expected("abcd", hidden)} == {"1", "3"}
    assert {*expected("abcd", Reading(texts.tokens, (10, 11)))} == {"1", "3"}
    assert {*expected("abcd", Reading(texts.tokens, (11, 12)))} == {"1", "2", "3"}
    assert expected("abcd", Reading(texts.tokens, (0, len(texts.tokens)))) == {}


def test_tokens_that_may_not_be_written_are_left_out() -> None:
    """Markers of the prompt are no text."""
    shares = expected("abcd", reading("abcd!", "abcd?"), usable=lambda token: token != ord("?"))
    assert [*shares] == ["!"]


def test_the_history_grows() -> None:
    """Each token that is written narrows down what comes."""
    model = Ngrams([*map(ord, "abcd")], [reading("abcde1", "abcdf2")], lambda _: True)
    assert {*model.expected()} == {ord("e"), ord("f")}
    model.feed(ord("f"))
    assert [*model.expected()] == [ord("2")]
    model.feed(ord("?"))
    assert not model.expected()


def test_thousands_of_places_are_no_trouble() -> None:
    """The last ones count."""
    shares = expected("abcd", reading("abcd1" * 5000 + "abcd2" * 2000))
    assert [*shares] == ["2"]


def test_shares_add_up_in_the_mixture() -> None:
    """Each probability is the model's, less what the texts take, and their share."""
    logits = np.array([1.0, 3.0, 2.0, -4.0], dtype=np.float32)
    before = logits.copy()
    p = np.exp(logits) / np.exp(logits).sum()
    found = mixed(logits, {0: 0.3, 3: 0.1})
    q = np.exp(found) / np.exp(found).sum()
    assert q == pytest.approx(0.6 * p + np.array([0.3, 0.0, 0.0, 0.1]), abs=1e-5)
    assert np.exp(found).sum() == pytest.approx(np.exp(logits).sum(), rel=1e-5)
    assert (logits == before).all()
    assert mixed(logits, {}) is logits


def test_a_token_the_model_rules_out_may_come_by_the_texts() -> None:
    """A name that it cannot know."""
    logits = np.array([8.0, -80.0], dtype=np.float32)
    found = mixed(logits, {1: 0.49})
    q = np.exp(found - found.max())
    assert q[1] / q.sum() == pytest.approx(0.49, abs=1e-4)


def places(text: list[int], hidden: tuple[int, int], history: list[int]) -> list[tuple[int, int]]:
    """Length and next token of every match, found one by one."""
    found = []
    for end in range(1, len(text)):
        length = 0
        while (
            length < min(end, len(history), 20) and text[end - 1 - length] == history[-1 - length]
        ):
            length += 1
        is_hidden = hidden[0] < hidden[1] and hidden[0] <= end < hidden[1] + 1
        if length >= 4 and text[end] != BORDER and not is_hidden:
            found.append((length, text[end]))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_every_place_is_found(seed: int) -> None:
    """As by going through the text sign by sign."""
    chance = random.Random(seed)
    text = [chance.choice([*range(2), BORDER] if chance.random() < 0.1 else range(2))
            for _ in range(400)]  # fmt: skip
    first = chance.randrange(400)
    hidden = chance.choice([(0, 0), (first, min(400, first + 80))])
    history = [chance.randrange(2) for _ in range(30)]
    found = ngrams._matches(Reading(np.array(text, dtype=np.int32), hidden), history[-20:])
    expected = places(text, hidden, history[-20:])
    assert [*zip(found.lengths.tolist(), found.tokens.tolist(), strict=True)] == expected
    assert len(expected) > 3
