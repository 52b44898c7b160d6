"""Prompts of an exact number of tokens, out of ordinary words in random order."""

from __future__ import annotations

import itertools
import random
from typing import Any

from context.types import Segment
from lsp_server.engine.protocol import Generate, Lane
from lsp_server.errors import EngineError
from lsp_server.types import SamplingParams

_TEXT = """
value index name path line text file data list item count total first last next node tree
table column row user group order price state result error message request response client
server queue worker thread lock time date year month day hour number string object class
method field type key map set size length width height depth point shape color image page
book word letter sound voice hand water stone house street city river mountain forest garden
window door table chair paper music letter teacher student doctor summer winter morning
evening color green yellow white black small large short long quick slow early late
"""
_WORDS = tuple(_TEXT.split())
# Tried in this order to meet the number of tokens exactly.
_FILLERS = (" a", " is", ".", " 1", "a", "1")
_MAX_FILLERS = 3


class Words:
    """Makes prompts.

    Args:
        tokenizer: of the model.
        seed: of the order of words.
    """

    def __init__(self, tokenizer: Any, seed: int) -> None:
        self._tokenizer = tokenizer
        self._seed = seed

    def text(self, n_prompt: int, *place: object, begin: str = "", after: str = "") -> str:
        """A text whose prompt has so many tokens, its markers among them.

        Args:
            n_prompt: tokens.
            place: names the text; equal places give equal texts.
            begin: what the text begins with.
            after: what stands right of the cursor.

        Raises:
            EngineError: the vocabulary gives no such text (``no_such_prompt``).
        """
        chance = random.Random(f"{self._seed}|{place}")
        words = [f" {word}" for word in chance.choices(_WORDS, k=n_prompt)]
        low, high = 0, len(words)
        while low < high:
            middle = (low + high + 1) // 2
            if self.count(begin + "".join(words[:middle]), after) <= n_prompt:
                low = middle
            else:
                high = middle - 1
        for n_fillers in range(_MAX_FILLERS + 1):
            for n_words in range(low, max(-1, low - _MAX_FILLERS), -1):
                for fillers in itertools.product(_FILLERS, repeat=n_fillers):
                    text = begin + "".join(words[:n_words]) + "".join(fillers)
                    if self.count(text, after) == n_prompt:
                        return text
        raise EngineError(f"No text makes a prompt of {n_prompt} tokens.", code="no_such_prompt")

    def about(self, n_tokens: int, *place: object) -> str:
        """The same with about so many tokens: most words are one.

        Args:
            n_tokens: tokens.
            place: names the text.
        """
        chance = random.Random(f"{self._seed}|{place}")
        return " ".join(chance.choices(_WORDS, k=n_tokens))

    def count(self, text: str, after: str = "") -> int:
        """Tokens of the prompt with this text left and right of the cursor."""
        return len(self.tokens(text, after))

    def tokens(self, text: str, after: str = "") -> list[int]:
        """The prompt with this text left and right of the cursor."""
        return list(self._tokenizer.encode(segments(text, after)).tokens)


def segments(text: str, after: str = "") -> tuple[Segment, ...]:
    """The prompt to go on with a text, up to another one."""
    return (
        Segment(role="fim_prefix"),
        Segment(role="text", text=text),
        Segment(role="fim_suffix"),
        *((Segment(role="text", text=after),) if after else ()),
        Segment(role="fim_middle"),
    )


def request(text: str, max_tokens: int, lane: Lane = "interactive", *, after: str = "") -> Generate:
    """A request to go on with a text.

    Args:
        text: left of the cursor.
        max_tokens: 0 only evaluates the prompt.
        lane: see Generate.
        after: right of the cursor.
    """
    return Generate(
        request_id=1,
        segments=segments(text, after),
        sampling=SamplingParams(max_tokens=max_tokens),
        lane=lane,
    )
