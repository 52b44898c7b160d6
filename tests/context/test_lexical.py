"""Strings, comments and brackets of half-typed text."""

from __future__ import annotations

import random

import pytest

from context import lexical
from context.lexical import locate
from tests.context.fuzz_syntax import PIECES, SEED_TEXT


@pytest.mark.parametrize("seed", range(40))
def test_a_text_that_grows_line_by_line_is_located_as_if_it_were_new(seed: int) -> None:
    """What is known of the lines above is what a look through all of them says."""
    chance = random.Random(seed)
    pieces = [*PIECES, '"""a', "'a\\", '"b\\\n', *SEED_TEXT.splitlines(keepends=True)]
    text = ""
    for _ in range(60):
        text = lexical.flat(text + chance.choice(pieces))
        if chance.random() < 0.2:
            text = text[: chance.randint(0, len(text))]
        found = locate(text)
        lexical._looked_through.clear()
        lexical._located.clear()
        assert locate(text) == found
        if chance.random() < 0.5:
            lexical._looked_through.append((SEED_TEXT, lexical._spans(SEED_TEXT)))
