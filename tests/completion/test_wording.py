"""How to have the model write another text than those it wrote."""

from __future__ import annotations

import math

import pytest

from lsp_server.completion.wording import Wording, another
from lsp_server.engine.protocol import Detour
from lsp_server.score.evidence import Token


def wording(*tokens: tuple[str, float], detours: tuple[Detour, ...] = ()) -> Wording:
    """Tokens with their margins."""
    raw, made = "", []
    for text, margin in tokens:
        raw += text
        made.append(Token(len(raw), -0.1, margin))
    return Wording(raw, tuple(made), detours)


FOO = wording(("foo", 3.0), ("(", 5.0), ("bar", 0.2), (")", 1.0), ("\n", 0.1), ("y", 0.0))
AT_BAR = Detour(text="foo(bar)", at=4)
AT_CLOSING = Detour(text="foo(bar)", at=7)


def found(*wordings: Wording | None) -> tuple[Detour, ...]:
    """The way to another line."""
    return another([wording for wording in wordings if wording is not None])


# -- where the cursor is by now ----------------------------------------------------------


@pytest.mark.parametrize(
    ("by_now", "way"),
    [
        ("x = ", AT_BAR),
        ("x = fo", Detour(text="o(bar)", at=2)),
        ("x = foo(", Detour(text="bar)", at=0)),
        ("x = foo(b", Detour(text="ar)", at=2)),
        ("x", Detour(text=" = foo(bar)", at=7)),
        ("x = foo(bar)", Detour(text="\ny", at=1)),
    ],
)
def test_it_is_left_where_the_model_was_least_sure(by_now: str, way: Detour) -> None:
    """Behind the cursor and on its first line, whatever was typed or taken back since."""
    assert found(FOO.seen_from("x = ", by_now)) == (way,)


@pytest.mark.parametrize("by_now", ["x = z", "y = ", "x = foo(bar) "])
def test_what_was_typed_otherwise_is_no_wording(by_now: str) -> None:
    """The model would not have written it."""
    assert FOO.seen_from("x = ", by_now) is None


def test_the_way_to_it_is_seen_from_there_as_well() -> None:
    """As far as it is not behind the cursor."""
    way = (Detour(text="foo(x)", at=0), Detour(text="foo(bar)", at=4))
    told = FOO._replace(detours=way).seen_from("x = ", "x = fo")
    assert told is not None
    assert told.detours == (Detour(text="o(bar)", at=2),)
    told = FOO._replace(detours=way).seen_from("x = ", "x")
    assert told is not None
    assert told.detours == (Detour(text=" = foo(x)", at=3), Detour(text=" = foo(bar)", at=7))


# -- the next likeliest ------------------------------------------------------------------


def test_a_line_of_its_own_is_left_on_that_line() -> None:
    """Where the text begins with the end of the cursor's line."""
    block = wording(("\n", 0.5), ("    return", 3.0), (" x", 1.0), ("\n", 0.1))
    assert found(block) == (Detour(text="\n    return x", at=0),)
    sure = wording(("\n", 9.0), ("    return", 3.0), (" x", 1.0), ("\n", 0.1))
    assert found(sure) == (Detour(text="\n    return x", at=11),)


def test_the_next_is_the_cheapest_way_that_was_not_taken() -> None:
    """From the first text or from another; leaving one that was a detour costs both."""
    other = wording(("foo", 3.0), ("(", 5.0), ("x", -0.2), (")", 0.5), detours=(AT_BAR,))
    assert found(FOO, other) == (AT_BAR, Detour(text="foo(x)", at=5))
    third = wording(
        *(("foo", 3.0), ("(", 5.0), ("x", -0.2), (",", -0.5), ("y", 2.0)),
        detours=(AT_BAR, Detour(text="foo(x)", at=5)),
    )
    assert found(FOO, other, third) == (AT_CLOSING,)


def test_without_margins_the_least_likely_token_counts() -> None:
    """Some engines tell no more."""
    tokens = tuple(Token(end, logprob) for end, logprob in ((3, -0.1), (4, -0.9), (7, -0.2)))
    assert found(Wording("foo(bar", tokens)) == (Detour(text="foo(bar", at=3),)


def test_a_text_without_tokens_is_left_at_once() -> None:
    """Nothing is known about it; nor is there a way around nothing."""
    assert found(Wording("foo")) == (Detour(text="foo"),)
    assert found() == ()


def test_a_text_that_ended_at_once_is_not_to_end_there() -> None:
    """Nor is one that can be left nowhere else."""
    assert found(Wording("")) == (Detour(text=""),)
    assert found(wording(("foo", math.inf))) == (Detour(text="foo"),)
