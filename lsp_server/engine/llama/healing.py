"""Token healing: a cursor inside a token does not force the model to go on from half of it.

What is typed of the token at the cursor (a word with the dot or blank before it, the last of an
indentation) is taken off the prompt, and the first generated tokens may only be such that it comes
out again. So the model tokenizes the whole word as it is used to; and as the prompt ends before the
word, it stays the same while the word is typed. The n-gram model finds the place in other files,
where the whole word is a token too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np

Ids = np.ndarray[tuple[int], np.dtype[np.int32]]
NO_IDS: Ids = np.empty(0, dtype=np.int32)


class Vocabulary:
    """The text tokens of a model, sorted by their bytes.

    Args:
        pieces: bytes of each token, by id; b"" for markers.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        order = sorted(
            (token for token, piece in enumerate(pieces) if piece), key=pieces.__getitem__
        )
        self._pieces = [pieces[token] for token in order]
        self._ids = np.array(order, dtype=np.int32)
        self._n_longest = max((len(piece) for piece in self._pieces), default=0)

    def fitting(self, wanted: bytes) -> Ids:
        """Ids of the tokens that begin with ``wanted``, and of those it begins with.

        Args:
            wanted: not empty.
        """
        longer = self._ids[self._from(wanted) : self._behind(wanted)]
        return np.concatenate([longer, self.beginnings(wanted[:-1])])

    def beginnings(self, text: bytes, n_least: int = 1) -> Ids:
        """Ids of the tokens that ``text`` begins with.

        Args:
            text: may be empty.
            n_least: bytes that they have at least.
        """
        sizes = range(n_least, min(len(text), self._n_longest) + 1)
        found = [self._ids[self._at(text[:n])] for n in sizes]
        return np.concatenate([NO_IDS, *found])

    def _from(self, piece: bytes) -> int:
        return bisect_left(self._pieces, piece)

    def _behind(self, piece: bytes) -> int:
        """The place behind all pieces that begin with ``piece``."""
        following = piece.rstrip(b"\xff")
        if not following:
            return len(self._pieces)
        return bisect_left(self._pieces, following[:-1] + bytes([following[-1] + 1]))

    def _at(self, piece: bytes) -> slice:
        start = self._from(piece)
        end = start
        while end < len(self._pieces) and self._pieces[end] == piece:
            end += 1
        return slice(start, end)


class Healing:
    """What of the typed word still has to come out again.

    Args:
        wanted: its bytes; b"" when there is nothing to heal.
    """

    def __init__(self, wanted: bytes) -> None:
        self._wanted = wanted

    @property
    def wanted(self) -> bytes:
        """Bytes that the next tokens must give; b"" once they have."""
        return self._wanted

    def feed(self, piece: bytes) -> bytes:
        """Take a token's bytes; gives those that go beyond what was typed."""
        n_given = min(len(piece), len(self._wanted))
        self._wanted = self._wanted[n_given:]
        return piece[n_given:]


def give_back(
    tokens: list[int], n_bytes: int, piece: Callable[[int], bytes]
) -> tuple[list[int], bytes]:
    """Take the tokens that hold the last ``n_bytes`` of a text off it.

    Args:
        tokens: of the text.
        n_bytes: size of the word at its end; 0 takes nothing.
        piece: bytes of a token.

    Returns:
        The remaining tokens, and the bytes of the others; they may begin before the word.
    """
    taken = b""
    end = len(tokens)
    while len(taken) < n_bytes and end > 0:
        end -= 1
        taken = piece(tokens[end]) + taken
    return tokens[:end], taken
