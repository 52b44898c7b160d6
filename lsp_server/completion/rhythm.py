"""How fast somebody types, and how long to wait for the next key before a suggestion is shown.

A suggestion that comes between two keys of a word distracts. So the wait follows the typing, less
what the engine needs anyway: where it is slower than the keys come there is nothing to wait for.

Source of the shape: the adaptive delay of Tabby, which takes the mean gap between keys, a score of
the place, and the mean response time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from lsp_server.settings import Mode

_N_GAPS, _N_ANSWERS = 100, 10
# Longer gaps are no typing.
_MAX_GAP_S = 0.4
_MIN_GAP_S = 0.1
_USUAL_GAP_S = 0.2
_MIN_KNOWN = 5
_MAX_WAIT_MS = 1000.0
# Gaps to wait in the middle of a word, and how many fewer where a suggestion is most welcome.
_GAPS: dict[Mode, tuple[float, float]] = {
    "eager": (0.0, 0.0),
    "balanced": (0.75, 0.6),
    "quiet": (4.0, 2.0),
}
_BEHIND_SIGN, _AT_LINE_END = 0.6, 0.4


class Rhythm:
    """The last keys and answers.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_s = 0.0
        self._gaps: deque[float] = deque(maxlen=_N_GAPS)
        self._answers: deque[float] = deque(maxlen=_N_ANSWERS)

    def key(self) -> None:
        """A key was typed."""
        now_s = self._clock()
        gap_s = now_s - self._last_s
        self._last_s = now_s
        if gap_s <= _MAX_GAP_S:
            self._gaps.append(gap_s)

    def answered(self, ms: float) -> None:
        """A suggestion could be shown so long after it was asked for, waiting left out."""
        self._answers.append(ms)

    @property
    def gap_ms(self) -> float:
        """The usual gap between two keys."""
        known = len(self._gaps) >= _MIN_KNOWN
        gap_s = sum(self._gaps) / len(self._gaps) if known else _USUAL_GAP_S
        return 1000 * min(max(gap_s, _MIN_GAP_S), _MAX_GAP_S)

    def wait_ms(self, mode: Mode, line_before: str, line_after: str) -> float:
        """How long to wait for another key.

        Args:
            mode: of the user.
            line_before: text of the cursor's line left of it.
            line_after: text right of it.
        """
        most, welcome = _GAPS[mode]
        last = line_before[-1:]
        score = _BEHIND_SIGN * (not (last.isalnum() or last == "_"))
        score += _AT_LINE_END * (not line_after.strip(")]}'\"`,:; \t"))
        answer_ms = sum(self._answers) / len(self._answers) if self._answers else 0.0
        wait_ms = (most - welcome * score) * self.gap_ms - answer_ms
        return min(max(0.0, wait_ms), _MAX_WAIT_MS)
