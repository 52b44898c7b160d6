"""Texts that were turned down are left where they are to be, token by token."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import pytest

from lsp_server.engine.llama.detours import Detours
from lsp_server.engine.llama.healing import Ids, Vocabulary
from lsp_server.engine.protocol import Detour

PIECES = [b"", b"foo", b"fo", b"f", b"(", b"bar", b"ba", b"barn", b")", b"x", "é".encode(), b"o"]


def vocabulary() -> Vocabulary:
    """Of these tokens."""
    return Vocabulary(PIECES)


def stop_ids() -> Ids:
    """The first ends a text."""
    return np.array([0], dtype=np.int32)


def banned(detours: Detours, wanted: bytes = b"") -> set[bytes]:
    """Their texts."""
    return {PIECES[token] for token in detours.banned(wanted)}


def test_the_text_goes_on_up_to_its_detour() -> None:
    """There no token is picked with which it would be the same, in whatever pieces."""
    detours = Detours([Detour(text="foo(bar)", at=4)], vocabulary, stop_ids)
    for piece in (b"foo", b"("):
        assert banned(detours) == set()
        detours.feed(piece)
    assert banned(detours) == {b"bar", b"ba"}


def test_a_text_that_became_another_is_no_matter_any_more() -> None:
    """Whatever it says later."""
    detours = Detours([Detour(text="foo(bar)", at=4)], vocabulary, stop_ids)
    for piece in (b"foo", b"x", b"("):
        detours.feed(piece)
    assert banned(detours) == set()


def test_a_token_over_the_place_is_left_behind_it() -> None:
    """Where the model takes other pieces than before."""
    detours = Detours([Detour(text="foo(bar)", at=1)], vocabulary, stop_ids)
    detours.feed(b"fo")
    assert banned(detours) == {b"o"}


def test_several_texts_are_left_each_at_its_place() -> None:
    """Also at the same one."""
    texts = [Detour(text="foo(x", at=4), Detour(text="foo(bar", at=4), Detour(text="foo)", at=3)]
    detours = Detours(texts, vocabulary, stop_ids)
    detours.feed(b"foo")
    assert banned(detours) == {b")"}
    detours.feed(b"(")
    assert banned(detours) == {b"x", b"bar", b"ba"}


def test_a_half_typed_word_may_come_out_again() -> None:
    """But not with more of the text."""
    detours = Detours([Detour(text="o(bar)")], vocabulary, stop_ids)
    assert banned(detours, b"fo") == {b"foo"}


def test_places_are_counted_in_characters() -> None:
    """Not in bytes."""
    detours = Detours([Detour(text="éé(", at=2)], vocabulary, stop_ids)
    detours.feed("é".encode())
    assert banned(detours) == set()
    detours.feed("é".encode())
    assert banned(detours) == {b"("}


def test_a_text_that_ended_goes_on() -> None:
    """Where there was none, and where all of it stays."""
    for detour, pieces in ((Detour(text=""), []), (Detour(text="fo(", at=3), [b"fo", b"("])):
        detours = Detours([detour], vocabulary, stop_ids)
        for piece in pieces:
            assert banned(detours) == set()
            detours.feed(piece)
        assert banned(detours) == {b""}


def test_a_word_that_is_half_typed_ends_itself() -> None:
    """What was typed comes out again in any case."""
    detours = Detours([Detour(text="")], vocabulary, stop_ids)
    assert banned(detours, b"fo") == set()


def test_the_vocabulary_is_not_waited_for_in_vain() -> None:
    """It takes a second to sort."""

    def fail() -> NoReturn:
        pytest.fail("asked for")

    detours = Detours([], fail, fail)
    detours.feed(b"foo")
    assert banned(detours) == set()
