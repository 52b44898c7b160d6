"""The texts of a workspace as tokens, for the n-gram model."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from lsp_server.engine.llama.tokenizer import Tokenizer
from lsp_server.engine.texts import News, Texts

Tokens = np.ndarray[Any, np.dtype[np.int32]]

# Stands between two texts; equal to no token.
BORDER = -1
# A piece of a text that is read anew only where it changed ends before a line that begins at the
# margin, once it is so long.
_MIN_PIECE_CHARS = 1024
_AT_MARGIN = re.compile(r"\n(?=\S)")
# So many tokens tell one place of a text from all others, nearly always; at the very edge of a
# prompt's part a text may be cut into other tokens.
_N_LANDMARK, _N_EDGE = 24, 2
# So much is read at a time, some 10 ms of work.
_STEP_CHARS = 16_384
_N_OPEN = 16
_NONE: Tokens = np.empty(0, dtype=np.int32)
_BORDER: Tokens = np.array([BORDER], dtype=np.int32)
_END = object()

log = logging.getLogger("midfill.engine")


class Reading(NamedTuple):
    """Tokens to look things up in.

    Args:
        tokens: shape (n,), texts with borders between them.
        hidden: from where to where they do not count.
    """

    tokens: Tokens
    hidden: tuple[int, int] = (0, 0)


class Corpora:
    """The tokens of all texts the engine was told; they are read when there is time.

    Args:
        tokenizer: of the model.
        texts: where they come from.
    """

    def __init__(self, tokenizer: Tokenizer, texts: Texts) -> None:
        self._tokenizer = tokenizer
        self._texts = texts
        self._corpora: dict[str, _Corpus] = {}
        # What is being read.
        self._work: Iterator[None] | None = None
        texts.tell_again()

    @property
    def n_unread(self) -> int:
        """Texts that do not count yet, or in an older state."""
        return self._texts.n_news + (self._work is not None)

    def read_some(self, corpus: str | None = None) -> bool:
        """Read a part of a text that is new, which takes some ms; False if there is none.

        Args:
            corpus: begin with texts of this one only; None for any.
        """
        if self._work is None:
            news = self._texts.take(corpus)
            if news is None:
                return False
            self._work = self._read(news)
        try:
            if next(self._work, _END) is _END:
                self._work = None
        except Exception as error:
            # One text less is no reason to serve nobody. No text may reach the log.
            log.error("a text cannot be read: %s", type(error).__name__)
            self._work = None
        return True

    def read_all(self, corpus: str) -> None:
        """Read all that is new of a corpus."""
        while self.read_some(corpus):
            pass

    def _read(self, news: News) -> Iterator[None]:
        known = self._corpora.setdefault(news.corpus, _Corpus(self._tokenizer))
        yield from known.put(news.path, news.text)
        if not known.files:
            self._corpora.pop(news.corpus, None)

    def of(self, corpus: str, path: str, before: Sequence[int], behind: Sequence[int]) -> Reading:
        """What can be looked up for a place in a file.

        Args:
            corpus: what the file is part of.
            path: of the file.
            before: tokens of it that stand before the cursor, as many as the prompt has.
            behind: those behind the cursor. What lies between the ends of the two is newer than
                what was told of the file, and hidden here.
        """
        known = self._corpora.get(corpus)
        if known is None:
            return Reading(_NONE)
        self._texts.used(corpus)
        return known.reading(path, before, behind)


class _Corpus:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self.files: dict[str, Tokens] = {}
        self._tokenizer = tokenizer
        # Of files that change again and again, which those are that are open.
        self._pieces: OrderedDict[str, dict[str, Tokens]] = OrderedDict()
        self._joined: Tokens | None = None
        self._starts: dict[str, int] = {}

    def put(self, path: str, text: str) -> Iterator[None]:
        """Take a text up, or forget it; in steps that take some ms each."""
        known = self._pieces.pop(path, {})
        pieces: dict[str, Tokens] = {}
        n_read = 0
        order = [*_pieces(text)]
        for piece in order:
            if (tokens := known.get(piece)) is None:
                tokens = np.array(self._tokenizer.tokenize(piece), dtype=np.int32)
                n_read += len(piece)
            pieces[piece] = tokens
            if n_read >= _STEP_CHARS:
                n_read = 0
                yield
        self._joined = None
        if path in self.files and pieces:
            self._pieces[path] = pieces
            if len(self._pieces) > _N_OPEN:
                self._pieces.popitem(last=False)
        if pieces:
            self.files[path] = np.concatenate([*(pieces[piece] for piece in order), _BORDER])
        else:
            self.files.pop(path, None)

    def reading(self, path: str, before: Sequence[int], behind: Sequence[int]) -> Reading:
        if self._joined is None:
            self._joined = np.concatenate([_NONE, *self.files.values()])
            self._starts.clear()
            start = 0
            for name, tokens in self.files.items():
                self._starts[name] = start
                # A view: no token is kept twice.
                self.files[name] = self._joined[start : start + len(tokens)]
                start += len(tokens)
        own = self.files.get(path)
        if own is None:
            return Reading(self._joined)
        first, last = _changed(own, before, behind)
        start = self._starts[path]
        return Reading(self._joined, (start + first, start + last))


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces that begin at the margin, so that an edit changes one or two of them."""
    start = 0
    for found in _AT_MARGIN.finditer(text):
        if found.end() - start >= _MIN_PIECE_CHARS:
            yield text[start : found.end()]
            start = found.end()
    if start < len(text):
        yield from (text[at : at + _STEP_CHARS] for at in range(start, len(text), _STEP_CHARS))


def _changed(own: Tokens, before: Sequence[int], behind: Sequence[int]) -> tuple[int, int]:
    """The part of a file that the prompt has in a newer state; what is doubtful is part of it."""
    head = before[_N_EDGE : _N_EDGE + _N_LANDMARK]
    tail = behind[: len(behind) - _N_EDGE][-_N_LANDMARK:]
    starts = _find(own, head) if len(head) == _N_LANDMARK else []
    ends = _find(own, tail) if len(tail) == _N_LANDMARK else []
    first = starts[0] if starts else 0
    last = ends[-1] + _N_LANDMARK if ends else len(own)
    return (first, last) if first < last else (0, len(own))


def _find(tokens: Tokens, wanted: Sequence[int]) -> list[int]:
    """Where a few tokens stand, in order."""
    at = np.flatnonzero(tokens[: len(tokens) - len(wanted) + 1] == wanted[0])
    for number, token in enumerate(wanted[1:], 1):
        at = at[tokens[at + number] == token]
    return [int(place) for place in at]
