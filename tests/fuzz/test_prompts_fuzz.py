"""A prompt depends on the text alone, and on what was shown before."""

from __future__ import annotations

import pytest

from tests.fuzz import prompts


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_kept_from_key_to_key_does_not_change_a_prompt(seed: int) -> None:
    """Trees, definitions, counts, imports, calls: with all of it or none the snippets are equal."""
    assert prompts.run(n_edits=120, seed=seed) == 0
