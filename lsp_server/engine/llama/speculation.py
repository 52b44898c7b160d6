"""Speculation by prompt lookup: what stands in the prompt already is often written again.

The last tokens are looked up in the prompt and in the suggestion before this one; what followed
them there is a guess at what follows now. A guess of k tokens is evaluated in one batch with the
token that is certain, and holds as far as the model itself picks the same tokens. So the text is
the one that comes without guessing; only the number of steps is another. (Sums are rounded a
little differently in batches of another size, as they are when several clients share one.)
Source: A. Saxena, "Prompt Lookup Decoding", 2023.

A batch of several tokens takes longer than one token, on a CPU nearly in proportion. Whether
guessing gains is decided by what a batch was measured to cost here, and by how many guesses turned
out right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from lsp_server.engine.speeds import Speed

Mode = Literal["auto", "on", "off"]

# Tokens that must agree before a guess is made; fewer agree by chance.
_MIN_MATCH = 3
# Of two places the one that agrees further back is better; beyond this it makes no difference.
_MAX_MATCH = 16
_MAX_PLACES = 16
_MAX_GUESS = 7
# Below this, noise eats what is gained.
_MIN_GAIN = 1.05
# Share of guessed tokens that is taken to be right before any was checked.
_FIRST_RATE = 0.5
# Weight of a newly checked token; and how fast the estimate forgets while nothing is guessed, so
# that guessing is tried again.
_NEWEST = 0.02
_FORGET = 0.01
# Stands between two texts; equal to no token.
_BORDER = -2


class Lookup:
    """Guesses how a text goes on, by what followed its last tokens elsewhere.

    Args:
        text: the text; ``add`` makes it longer. It is looked up in itself too.
        others: where else to look, the likeliest last.
        usable: whether a token may be guessed; a guess ends before one that may not.
    """

    def __init__(
        self,
        text: Sequence[int],
        others: Sequence[Sequence[int]],
        usable: Callable[[int], bool],
    ) -> None:
        self._usable = usable
        self._tokens: list[int] = []
        # Behind which places each few tokens stand.
        self._places: dict[tuple[int, ...], list[int]] = {}
        for other in others:
            self.add(other)
            self._tokens.append(_BORDER)
        self._start = len(self._tokens)
        self.add(text)

    @property
    def n_tokens(self) -> int:
        """Length of the text."""
        return len(self._tokens) - self._start

    def add(self, tokens: Sequence[int]) -> None:
        """The text goes on."""
        start = max(len(self._tokens) - _MIN_MATCH + 1, 0)
        self._tokens += tokens
        fresh = self._tokens[start:]
        grams = zip(*(fresh[n:] for n in range(_MIN_MATCH)), strict=False)
        for place, gram in enumerate(grams, start + _MIN_MATCH):
            self._places.setdefault(gram, []).append(place)

    def guess(self, n_most: int) -> list[int]:
        """What may follow; empty if the text's last tokens stand nowhere else.

        Args:
            n_most: at most so many tokens.
        """
        end = len(self._tokens)
        best = longest = 0
        for place in self._places.get(tuple(self._tokens[-_MIN_MATCH:]), ())[-_MAX_PLACES:]:
            if place < end and (length := self._agreeing(place)) >= longest:
                best, longest = place, length
        found: list[int] = []
        for token in self._tokens[best : best + n_most] if longest else ():
            if token == _BORDER or not self._usable(token):
                break
            found.append(token)
        return found

    def _agreeing(self, place: int) -> int:
        """How many of the last tokens stand before a place too."""
        tokens, end = self._tokens, len(self._tokens)
        length = _MIN_MATCH
        while (
            length < min(place, _MAX_MATCH)
            and tokens[place - 1 - length] == tokens[end - 1 - length]
        ):
            length += 1
        return length


class Speculation:
    """Decides how many tokens are guessed, and counts how many were right.

    Args:
        mode: ``auto`` guesses where it gains, ``on`` always.

    Attributes:
        n_guessed: tokens that were guessed and checked.
        n_right: of these, taken into a text.
    """

    def __init__(self, mode: Mode) -> None:
        self.n_guessed = self.n_right = 0
        self._mode = mode
        self._speed: Speed | None = None
        self._rate = _FIRST_RATE
        self._last_texts: dict[int, list[int]] = {}

    def learn(self, speed: Speed | None) -> None:
        """Batches were measured; None if they were not."""
        self._speed = speed or self._speed

    def n_most(self, n_texts: int) -> int:
        """How many tokens to guess for each of so many texts in one batch."""
        if self._mode == "off":
            return 0
        if self._mode == "on":
            return _MAX_GUESS
        n_guessed, gain = self._best(n_texts)
        if gain >= _MIN_GAIN:
            return n_guessed
        self._rate += _FORGET * (_FIRST_RATE - self._rate)
        return 0

    def checked(self, n_guessed: int, n_right: int) -> None:
        """So many tokens were guessed, and so many of them, from the first on, were right."""
        self.n_guessed += n_guessed
        self.n_right += n_right
        for number in range(min(n_right + 1, n_guessed)):
            right = 1.0 if number < n_right else 0.0
            self._rate += _NEWEST * (right - self._rate)

    def remember(self, place: int, text: list[int]) -> None:
        """A text that was generated; the next one at that place may be much the same."""
        self._last_texts[place] = text

    def last_text(self, place: int) -> list[int]:
        """The text that was generated there last."""
        return self._last_texts.get(place, [])

    def describe(self) -> str:
        """Whether tokens are guessed, and why, for the user."""
        if self._mode != "auto":
            return f"{self._mode} (engine.speculation)"
        if self._speed is None:
            return "off until it is measured whether it gains"
        n_guessed, gain = self._best(1)
        costs = self._cost(1 + n_guessed)
        state = "on" if gain >= _MIN_GAIN else "off"
        return (
            f"{state}: a step with {n_guessed} guessed tokens costs {costs:.2f} × a step of one, "
            f"for {gain * costs:.2f} × the tokens"
        )

    def _best(self, n_texts: int) -> tuple[int, float]:
        """The number of guessed tokens that gains most, and by what factor."""
        if self._speed is None:
            return 1, 0.0
        expected, best = 1.0, (1, 0.0)
        alone = self._cost(n_texts)
        for n_guessed in range(1, _MAX_GUESS + 1):
            expected += self._rate**n_guessed
            gain = expected * alone / self._cost(n_texts * (1 + n_guessed))
            if gain > best[1]:
                best = n_guessed, gain
        return best

    def _cost(self, n_tokens: int) -> float:
        """What a batch of so many tokens costs, in steps of one token."""
        assert self._speed is not None
        known = sorted(self._speed.step_ms.items())
        one = known[0][1] / known[0][0]
        low = high = known[0]
        for size_ms in known:
            low, high = (size_ms if size_ms[0] <= n_tokens else low), size_ms
            if size_ms[0] >= n_tokens:
                break
        if high[0] <= low[0]:
            return low[1] / low[0] * n_tokens / one
        share = (n_tokens - low[0]) / (high[0] - low[0])
        return (low[1] + share * (high[1] - low[1])) / one
