"""An n-gram model of the workspace: what followed the last tokens wherever they stand.

A small model has not seen the project it writes in, and the prompt holds little of it. The places
in the project's files where the last tokens stand too tell how it goes on there; the more tokens
agree, and the more places, the more that counts. Mixed into the model's own probabilities this
makes it write the project's names and phrases, and costs no prompt token.

The estimate is that of prediction by partial matching: from the longest match downwards, each
length leaves a share of its probability to the shorter ones, less the longer it is. Sources:
J. Cleary and I. Witten, "Data Compression Using Adaptive Coding and Partial String Matching", 1984;
V. Hellendoorn and P. Devanbu, "Are Deep Neural Networks the Best Choice for Modeling Source Code?",
2017; J. Liu et al., "Infini-gram", 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lsp_server.engine.llama.corpus import BORDER, Reading, Tokens
from lsp_server.engine.llama.sampler import NOTHING, Expected

# Share of each token. What a token gets by both is what it is chosen by.
WEIGHT = 0.5
# Fewer tokens agree by chance; more make no difference.
_MIN_MATCH, _MAX_MATCH = 4, 20
# A match of n tokens leaves (_SURE / n) ** _POWER of what a short one would leave.
_SURE, _POWER = 3.6, 1.5
# Of more places those that come last count.
_MAX_PLACES = 1024
# What is left for shorter matches below this is nothing.
_MIN_LEFT = 1e-3


class Ngrams:
    """Tells what may come next, by what came elsewhere.

    Args:
        history: tokens up to the cursor; ``feed`` makes it longer.
        readings: where to look.
        usable: whether a token may be written.
    """

    def __init__(
        self,
        history: Sequence[int],
        readings: Sequence[Reading],
        usable: Callable[[int], bool],
    ) -> None:
        self._history = list(history[-_MAX_MATCH:])
        self._readings = [reading for reading in readings if len(reading.tokens) > _MIN_MATCH]
        self._usable = usable

    def feed(self, token: int) -> None:
        """A token was written."""
        self._history.append(token)
        del self._history[:-_MAX_MATCH]

    def expected(self) -> Expected:
        """Tokens that may come next, each with its share in the mixture.

        Returns:
            The shares add up to less than 1; the rest belongs to the model. Empty where the last
            tokens stand nowhere else.
        """
        if len(self._history) < _MIN_MATCH:
            return NOTHING
        found = [_matches(reading, self._history) for reading in self._readings]
        lengths = np.concatenate([match.lengths for match in found]) if found else np.empty(0)
        if not len(lengths):
            return NOTHING
        tokens = np.concatenate([match.tokens for match in found])
        return self._shares(lengths.tolist(), tokens.tolist())

    def _shares(self, lengths: list[int], tokens: list[int]) -> Expected:
        by_length: dict[int, list[int]] = {}
        for length, token in zip(lengths, tokens, strict=True):
            by_length.setdefault(length, []).append(token)
        counts: dict[int, int] = {}
        shares: dict[int, float] = {}
        n_places, left = 0, WEIGHT
        for length in sorted(by_length, reverse=True):
            for token in by_length[length]:
                counts[token] = counts.get(token, 0) + 1
                n_places += 1
            n_kinds = len(counts)
            escape = n_kinds / (n_places + n_kinds) * min(1.0, (_SURE / length) ** _POWER)
            for token, count in counts.items():
                shares[token] = shares.get(token, 0.0) + left * (1 - escape) * count / n_places
            left *= escape
            if left < _MIN_LEFT:
                break
        return {token: share for token, share in shares.items() if self._usable(token)}


class _Matches(NamedTuple):
    """Places where the last tokens stand too.

    Args:
        lengths: how many tokens agree, shape (n,).
        tokens: the one that follows, shape (n,).
    """

    lengths: Tokens
    tokens: Tokens


def _matches(reading: Reading, history: Sequence[int]) -> _Matches:
    tokens = reading.tokens
    first, last = reading.hidden
    at = np.flatnonzero(tokens[_MIN_MATCH - 1 : -1] == history[-1]) + (_MIN_MATCH - 1)
    for back in range(1, _MIN_MATCH):
        at = at[tokens[at - back] == history[-1 - back]]
    at = at[tokens[at + 1] != BORDER]
    if first < last:
        # Neither from the hidden part, nor into it.
        at = at[(at + 1 < first) | (at >= last)]
    at = at[-_MAX_PLACES:]
    lengths = np.full(len(at), _MIN_MATCH, dtype=np.int32)
    agree = np.ones(len(at), dtype=np.bool_)
    for back in range(_MIN_MATCH, len(history)):
        agree &= at >= back
        agree &= tokens[at - back] == history[-1 - back]
        if not agree.any():
            break
        lengths += agree
    return _Matches(lengths, tokens[at + 1])
