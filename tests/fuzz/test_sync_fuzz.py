"""The document store holds the client's text after any sequence of edits."""

from __future__ import annotations

import os
import random

import pytest

from lsp_server.documents import Change, DocumentStore, Span
from lsp_server.lines import BLOCK_LINES
from tests.fuzz import sync

N_EDITS = 200_000


def test_random_edits_never_diverge() -> None:
    """200,000 random edits in all encodings and EOLs leave the reference's text."""
    chosen = os.environ.get("MIDFILL_FUZZ_SEED")
    seed = int(chosen) if chosen else random.SystemRandom().randrange(2**32)
    report = sync.run(N_EDITS, seed)
    assert report.n_edits == N_EDITS
    assert report.n_comparisons > N_EDITS // 50
    assert not report.divergences, (
        f"run again with MIDFILL_FUZZ_SEED={seed}: {report.divergences[0]}"
    )


def test_a_wrong_store_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzz sees a store that ends lines where str.splitlines() does."""
    monkeypatch.setattr(
        "lsp_server.documents.split_lines",
        lambda text: [*text.splitlines(keepends=True), ""],
    )
    assert sync.run(2_000, seed=1).divergences


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_texts_of_several_blocks(seed: int) -> None:
    """Edits that cross, split, fill and empty blocks of lines leave the reference's text."""
    rng = random.Random(seed)
    expected = "".join(f"line {n}\n" for n in range(5 * BLOCK_LINES))
    store = DocumentStore("utf-16")
    store.open("file:///f", "python", 0, expected)
    for version in range(1, 200):
        n_lines = expected.count("\n") + 1
        first = rng.randrange(n_lines)
        last = min(n_lines, first + rng.choice((0, 0, 1, 7, BLOCK_LINES, 2 * BLOCK_LINES)))
        new = "new\n" * rng.choice((0, 0, 1, 9, BLOCK_LINES, 3 * BLOCK_LINES))
        span = Span(start_line=first, start_character=2, end_line=last, end_character=3)
        store.change("file:///f", version, [Change(text=new, span=span)])
        start = sync.reference_offset(expected, (first, 2), "utf-16")
        end = sync.reference_offset(expected, (last, 3), "utf-16")
        start, end = min(start, end), max(start, end)
        expected = expected[:start] + new + expected[end:]
        assert sync.difference(store, expected) == ""
        lines = store.get("file:///f").lines
        at = rng.randrange(len(lines))
        assert lines[at] == list(lines)[at]
        assert tuple(lines[at : at + 700]) == tuple(lines)[at : at + 700]
