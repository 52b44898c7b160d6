"""How long to wait for the next key."""

from __future__ import annotations

import pytest

from lsp_server.completion.rhythm import Rhythm
from lsp_server.settings import Mode


class Typist:
    """Somebody who types at a steady pace."""

    def __init__(self, gap_s: float = 0.15, n_keys: int = 50) -> None:
        self.now_s = 100.0
        self.rhythm = Rhythm(lambda: self.now_s)
        for _ in range(n_keys):
            self.key(gap_s)

    def key(self, gap_s: float) -> None:
        """Another key."""
        self.now_s += gap_s
        self.rhythm.key()


def test_the_wait_follows_the_typing() -> None:
    """Within bounds; pauses are no typing."""
    assert Typist(0.15).rhythm.gap_ms == pytest.approx(150)
    assert Typist(0.02).rhythm.gap_ms == 100
    assert Typist(0.15, n_keys=2).rhythm.gap_ms == 200
    typist = Typist(0.15)
    typist.key(30.0)
    assert typist.rhythm.gap_ms == pytest.approx(150)


def test_a_slow_engine_leaves_nothing_to_wait_for() -> None:
    """A fast one does."""
    typist = Typist(0.15)
    in_word = typist.rhythm.wait_ms("balanced", "retu", "")
    assert 60 < in_word < 110
    typist.rhythm.answered(50)
    assert typist.rhythm.wait_ms("balanced", "retu", "") == pytest.approx(in_word - 50)
    typist.rhythm.answered(1000)
    assert typist.rhythm.wait_ms("balanced", "retu", "") == 0


def test_where_a_suggestion_is_welcome_it_comes_sooner() -> None:
    """Behind a sign, and at the end of a line, closing brackets left out."""
    rhythm = Typist(0.2).rhythm

    def wait(before: str, after: str) -> float:
        return rhythm.wait_ms("balanced", before, after)

    assert wait("foo(", ")") == wait("foo(", "") < wait("foo", ")") < wait("foo", " + bar")
    assert wait("foo(", "") < wait("foo(", "bar)")


@pytest.mark.parametrize(("mode", "least", "most"), [("eager", 0, 0), ("quiet", 300, 1000)])
def test_modes(mode: Mode, least: float, most: float) -> None:
    """Eager waits for nothing, quiet for a real pause."""
    rhythm = Typist(0.2).rhythm
    for before in ("foo", "foo("):
        assert least <= rhythm.wait_ms(mode, before, "") <= most
