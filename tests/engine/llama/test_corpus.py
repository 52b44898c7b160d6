"""The tokens of a workspace's texts."""

from __future__ import annotations

from typing import cast

import pytest

from lsp_server.engine.llama.corpus import BORDER, Corpora, Reading
from lsp_server.engine.llama.tokenizer import Tokenizer
from lsp_server.engine.texts import Texts


class Letters:
    """A tokenizer for which each sign is a token; counts what it was given."""

    def __init__(self) -> None:
        self.n_signs = 0

    def tokenize(self, text: str) -> list[int]:
        """See Tokenizer."""
        self.n_signs += len(text)
        return [*map(ord, text)]


class Told:
    """Texts, and what is made of them."""

    def __init__(self) -> None:
        self.texts = Texts(10_000_000)
        self.letters = Letters()
        self.corpora = Corpora(cast(Tokenizer, self.letters), self.texts)

    def put(self, path: str, text: str, corpus: str = "w") -> None:
        """Tell a text, and have it read."""
        self.texts.put(corpus, path, text)
        self.corpora.read_all(corpus)

    def at(self, path: str, before: str = "", behind: str = "", corpus: str = "w") -> Reading:
        """What can be looked up in a file between two texts."""
        return self.corpora.of(corpus, path, [*map(ord, before)], [*map(ord, behind)])


@pytest.fixture
def told() -> Told:
    """An engine that was told nothing yet."""
    return Told()


def text_of(reading: Reading, *, visible: bool = False) -> str:
    """A reading as text, with a bar for a border."""
    first, last = reading.hidden
    tokens = [*reading.tokens]
    if visible:
        tokens = [*tokens[:first], *tokens[last:]]
    return "".join("|" if token == BORDER else chr(token) for token in tokens)


def lines(*numbers: int) -> str:
    """Lines that are all different."""
    return "".join(f"line {number:03} = {number * 7919 % 1000}\n" for number in numbers)


def test_texts_stand_side_by_side(told: Told) -> None:
    """With a border behind each; what changed is the new one, what went is gone."""
    told.put("a.py", "one")
    told.put("b.py", "two")
    assert text_of(told.at("c.py")) == "one|two|"
    told.put("a.py", "three")
    assert text_of(told.at("c.py")) == "three|two|"
    told.put("b.py", "")
    assert text_of(told.at("c.py")) == "three|"
    told.put("a.py", "")
    assert text_of(told.at("c.py")) == ""


def test_workspaces_know_nothing_of_each_other(told: Told) -> None:
    """What is read for one is not found in another."""
    told.put("a.py", "one", corpus="v")
    told.put("a.py", "two", corpus="w")
    assert text_of(told.at("c.py", corpus="v")) == "one|"
    assert text_of(told.at("c.py", corpus="w")) == "two|"
    assert text_of(told.at("c.py", corpus="x")) == ""


# The edge of the prompt's part is two tokens wide.
ABOVE, BELOW = lines(*range(10)) + "li", lines(25)[-2:] + lines(*range(26, 40)) + "|"


def test_what_the_prompt_has_is_hidden(told: Told) -> None:
    """Of the open file what was told counts up to where the prompt's part begins, and from where
    it ends: what lies between may be older."""
    told.put("a.py", lines(*range(40)))
    told.put("b.py", "other")
    before = lines(*range(10, 20)) + "typed no"
    behind = "w\n" + lines(*range(22, 26))
    reading = told.at("a.py", before, behind)
    assert text_of(reading, visible=True) == ABOVE + BELOW + "other|"


@pytest.mark.parametrize(
    ("before", "behind", "left"),
    [
        # The text is not found again on one side: all on that side is doubtful.
        (lines(90, 91), lines(24, 25), BELOW),
        (lines(10, 11), lines(90, 91), ABOVE),
        (lines(90, 91), lines(92, 93), ""),
        # Too little text to tell the place by.
        ("x", "y", ""),
        # The end was moved before the beginning.
        (lines(30, 31), lines(10, 11), ""),
    ],
)
def test_what_is_doubtful_is_hidden(told: Told, before: str, behind: str, left: str) -> None:
    """Better too little of the open file than what was deleted from it just now."""
    told.put("a.py", lines(*range(40)))
    assert text_of(told.at("a.py", before, behind), visible=True) == left


def test_a_text_that_stands_twice_hides_all_between(told: Told) -> None:
    """Where a place is not the only one, the widest part is hidden."""
    told.put("a.py", lines(1, 2, 3, 4) + lines(1, 2, 3, 4) + lines(5))
    visible = text_of(told.at("a.py", lines(2, 3), lines(3, 4)), visible=True)
    assert visible == lines(1) + "li" + lines(4)[-2:] + lines(5) + "|"


def test_an_edit_costs_its_surroundings(told: Told) -> None:
    """Of a long file only the pieces that changed are read again."""
    functions = [f"def f{n}():\n" + f"    return {n}\n" * 100 for n in range(50)]
    told.put("a.py", "\n\n".join(functions))
    whole = told.letters.n_signs
    for number in (10, 20, 30):
        before = told.letters.n_signs
        functions[number] = functions[number].replace("return", "yield")
        told.put("a.py", "\n\n".join(functions))
        assert text_of(told.at("b.py")) == "\n\n".join(functions) + "|"
    assert told.letters.n_signs - before < whole / 20


def test_long_texts_are_read_in_steps(told: Told) -> None:
    """Somebody who asks meanwhile waits for one step; until the last one the old text counts."""
    told.put("a.py", "old")
    told.texts.put("w", "a.py", "x = 1\n" * 20_000)
    n_steps = 0
    while told.corpora.read_some():
        n_steps += 1
        if n_steps == 3:
            assert text_of(told.at("b.py")) == "old|"
    assert n_steps > 5
    assert len(told.at("b.py").tokens) == 120_001


def test_a_line_without_end_is_read_in_steps(told: Told) -> None:
    """Generated code may have no line ends at all."""
    told.texts.put("w", "a.py", "x" * 100_000)
    assert sum(1 for _ in iter(told.corpora.read_some, False)) > 5
    assert text_of(told.at("b.py")) == "x" * 100_000 + "|"


def test_a_text_that_cannot_be_read_is_left_out(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are read; the log has nothing of it."""

    def tokenize(text: str) -> list[int]:
        if "secret" in text:
            raise ValueError(text)
        return [*map(ord, text)]

    told.letters.tokenize = tokenize  # type: ignore[method-assign]
    told.texts.put("w", "a.py", "secret")
    told.put("b.py", "two")
    assert text_of(told.at("c.py")) == "two|"
    assert told.corpora.n_unread == 0
    assert "cannot be read: ValueError" in caplog.text
    assert "secret" not in caplog.text


def test_a_model_that_is_loaded_again_reads_again(told: Told) -> None:
    """What was told before is not lost with the model."""
    told.put("a.py", "one")
    corpora = Corpora(cast(Tokenizer, Letters()), told.texts)
    assert not len(corpora.of("w", "b.py", [], []).tokens)
    corpora.read_all("w")
    assert text_of(corpora.of("w", "b.py", [], [])) == "one|"
