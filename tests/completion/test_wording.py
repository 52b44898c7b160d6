"""How to have the model write another text than one of its own."""

from __future__ import annotations

import pytest

from lsp_server.completion.wording import Wording
from lsp_server.engine.protocol import Detour
from lsp_server.score.evidence import Token


def wording(*tokens: tuple[str, float], margins: bool = True) -> Wording:
    """Tokens with how sure the model was of them: their margins, or only their log-probs."""
    raw, made = "", []
    for text, sureness in tokens:
        raw += text
        made.append(Token(len(raw), *((-0.1, sureness) if margins else (sureness, None))))
    return Wording(raw, tuple(made))


FOO = wording(("foo", 3.0), ("(", 5.0), ("bar", 0.2), (")", 1.0), ("\n", 0.1), ("y", 0.0))


@pytest.mark.parametrize(
    ("by_now", "detour"),
    [
        ("x = ", Detour(text="foo(bar)", at=4)),
        ("x = fo", Detour(text="o(bar)", at=2)),
        ("x = foo(", Detour(text="bar)", at=0)),
        ("x = foo(b", Detour(text="ar)", at=2)),
        ("x", Detour(text=" = foo(bar)", at=7)),
        ("x = foo(bar)", Detour(text="\ny", at=1)),
        ("x = z", None),
        ("y = ", None),
    ],
)
def test_it_is_left_where_the_model_was_least_sure(by_now: str, detour: Detour | None) -> None:
    """Behind the cursor and on its first line, whatever was typed or taken back since."""
    assert FOO.detour("x = ", by_now) == detour


def test_a_line_of_its_own_is_left_on_that_line() -> None:
    """Where the text begins with the end of the cursor's line."""
    block = wording(("\n", 0.5), ("    return", 3.0), (" x", 1.0), ("\n", 0.1))
    assert block.detour("def f():", "def f():") == Detour(text="\n    return x", at=0)
    sure = wording(("\n", 9.0), ("    return", 3.0), (" x", 1.0), ("\n", 0.1))
    assert sure.detour("def f():", "def f():") == Detour(text="\n    return x", at=11)


def test_without_margins_the_least_likely_token_counts() -> None:
    """Some engines tell no more."""
    told = wording(("foo", -0.1), ("(", -0.9), ("bar", -0.2), margins=False)
    assert told.detour("", "") == Detour(text="foo(bar", at=3)


def test_a_text_without_tokens_is_left_at_once() -> None:
    """Nothing is known about it."""
    assert Wording("foo", ()).detour("", "") == Detour(text="foo", at=0)
