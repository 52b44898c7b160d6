"""Small models fall into loops; this finds where one begins."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lsp_server.postprocess.cut import Cut
from lsp_server.postprocess.surroundings import is_closing

_N_EQUAL_LINES = 3
# A piece of characters that follows itself so many times is a loop: short ones 6 times, longer
# ones 4 times, whatever has no letter in it (zeros of a table) 16 times.
_SHORTEST, _LONG, _LONGEST = 3, 10, 80
_N_SHORT, _N_LONG, _N_WITHOUT_LETTERS = 6, 4, 16
# The same for tokens: so many at the end that repeat with a period of at most so many.
_WINDOWS = ((10, 1), (30, 10), (45, 20), (60, 30))
_TOKEN = re.compile(r"\s*(\w+|[^\w\s])")
_MAX_PERIOD = 30


def equal_lines_cut(lines: Sequence[str], start: int = 0) -> Cut | None:
    """Where the third of three equal lines in a row ends; one of them is kept.

    Args:
        lines: complete lines; the first one with what stands left of the cursor.
        start: length of what stands left of the cursor.
    """
    end = -start
    n_equal, last, keep = 0, "", 0
    for line in lines:
        text = line.strip()
        if text and text == last and not is_closing(line):
            n_equal += 1
        else:
            n_equal, last, keep = 1, text, end + len(line)
        end += len(line) + 1
        if n_equal == _N_EQUAL_LINES:
            return Cut(end, keep, "repeats")
    return None


class Loops:
    """Finds the first loop of one growing text; looks only at what is new of it.

    The token windows are those of Cody; a border as in Knuth, Morris and Pratt is kept by counting,
    for each period, how long the text has had it.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._text = ""
        self._cut: Cut | None = None
        self._runs = [0] * (_LONGEST + 1)
        self._tokens: list[tuple[str, int]] = []
        self._token_runs = [0] * (_MAX_PERIOD + 1)

    def cut(self, text: str) -> Cut | None:
        """The earliest loop.

        Args:
            text: the completion so far.
        """
        if not text.startswith(self._text):
            self._reset()
        if self._cut is None:
            start = len(self._text)
            self._text = text
            found = self._characters(start), self._words()
            self._cut = min((cut for cut in found if cut is not None), default=None)
        return self._cut

    def _characters(self, start: int) -> Cut | None:
        text, runs = self._text, self._runs
        for at in range(start, len(text)):
            sign = text[at]
            for period in range(_SHORTEST, min(at, _LONGEST) + 1):
                if text[at - period] != sign:
                    runs[period] = 0
                    continue
                runs[period] += 1
                n_least = _N_SHORT if period < _LONG else _N_LONG
                if runs[period] >= (n_least - 1) * period:
                    begin = at + 1 - runs[period] - period
                    unit = text[begin : begin + period]
                    if not any(map(str.isalpha, unit)):
                        if not any(map(str.isdigit, unit)):
                            continue
                        if runs[period] < (_N_WITHOUT_LETTERS - 1) * period:
                            continue
                    return Cut(at + 1, begin + period, "repeats")
        return None

    def _words(self) -> Cut | None:
        known, runs = self._tokens, self._token_runs
        start = known[-1][1] if known else 0
        for found in _TOKEN.finditer(self._text, start):
            if found.end() == len(self._text):
                break  # it may grow
            number = len(known)
            known.append((found.group(1), found.end()))
            for period in range(1, min(number, _MAX_PERIOD) + 1):
                is_same = known[number - period][0] == found.group(1)
                runs[period] = runs[period] + 1 if is_same else 0
                if runs[period] and self._is_loop(period, runs[period]):
                    begin = number + 1 - runs[period] - period
                    return Cut(found.end() + 1, known[begin + period - 1][1], "repeats")
        return None

    def _is_loop(self, period: int, n_same: int) -> bool:
        if not any(n_same >= n - period for n, longest in _WINDOWS if period <= longest):
            return False
        unit = self._tokens[-period:]
        return any(any(map(str.isalpha, token)) for token, _ in unit)
