"""Token healing: which tokens may come, and what of them is new."""

from __future__ import annotations

import pytest

from lsp_server.engine.llama.healing import Healing, Vocabulary, give_back

PIECES = [
    b"",
    b"c",
    b"con",
    b"config",
    b" con",
    b"fig",
    b"x",
    b"o",
    b"co",
    b"config",
    b"\xff",
    b"n",
]


@pytest.mark.parametrize(
    ("wanted", "fitting"),
    [
        (b"conf", {b"c", b"co", b"con", b"config"}),
        (b"con", {b"c", b"co", b"con", b"config"}),
        (b" c", {b" con"}),
        (b"x", {b"x"}),
        (b"z", set()),
        (b"\xff", {b"\xff"}),
    ],
)
def test_fitting_tokens(wanted: bytes, fitting: set[bytes]) -> None:
    """Those that begin with what is wanted, and those it begins with; markers never."""
    ids = [int(i) for i in Vocabulary(PIECES).fitting(wanted)]
    assert {PIECES[i] for i in ids} == fitting
    assert len(ids) == len(set(ids))
    assert sorted(ids) == [i for i, piece in enumerate(PIECES) if piece in fitting]


def test_only_what_goes_beyond_the_word_is_new() -> None:
    """The typed bytes are swallowed, over as many tokens as they take."""
    healing = Healing(b"conf")
    assert healing.feed(b"co") == b""
    assert healing.wanted == b"nf"
    assert healing.feed(b"nfig") == b"ig"
    assert healing.wanted == b""
    assert healing.feed(b"()") == b"()"


@pytest.mark.parametrize(
    ("n_bytes", "kept", "taken"),
    [(0, [1, 4, 5], b""), (3, [1, 4], b"fig"), (4, [1], b" config"), (50, [], b"c config")],
)
def test_whole_tokens_are_given_back(n_bytes: int, kept: list[int], taken: bytes) -> None:
    """As many as it takes to hold the word; the first may begin before it."""
    assert give_back([1, 4, 5], n_bytes, lambda i: PIECES[i]) == (kept, taken)
