"""What is left of a suggestion keeps its shape; with streams it is tried in test_source.py."""

from __future__ import annotations

from lsp_server.postprocess.onward import Onward
from lsp_server.postprocess.shape import View


class Words:
    """Shows so many words, and stops behind them."""

    def __init__(self, n_words: int) -> None:
        self._n_words = n_words

    def view(self, raw: str, *, final: bool) -> View:
        """The first words."""
        words = raw.split(" ")
        text = " ".join(words[: self._n_words])
        stop = "enough" if len(words) > self._n_words else ""
        return View(text=text, stop=stop, n_raw=len(text))


def test_what_is_left_ends_where_it_ended() -> None:
    """Counted from where the cursor is."""
    shape = Onward(Words(3), "one t", Words(9))
    assert shape.view("wo three four", final=False) == View(text="wo three", stop="enough", n_raw=8)


def test_what_comes_behind_it_is_shown_anew_and_told_once() -> None:
    """As soon as it is certain that nothing is left."""
    told: list[str] = []
    shape = Onward(Words(1), "one", Words(2), on_fresh=lambda: told.append("x"))
    assert shape.view("", final=False) == View(text="")
    assert told == []
    assert shape.view(" two three", final=False).text == " two"
    assert shape.view(" two three four", final=True).text == " two"
    assert told == ["x"]


def test_nothing_behind_it_is_nothing_new() -> None:
    """A stream that ends with what was typed."""
    told: list[str] = []
    shape = Onward(Words(1), "one", Words(2), on_fresh=lambda: told.append("x"))
    assert shape.view("", final=True).text == ""
    assert told == []


def test_another_stream_is_shaped_by_the_place() -> None:
    """What was typed is no part of it."""
    shape = Onward(Words(3), "one ", Words(1))
    shape.leave()
    assert shape.view("two three", final=False).text == "two"
