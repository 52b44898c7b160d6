"""When an engine that keeps dying may be started again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_WINDOW_S = 60.0
_MAX_FAILURES = 5
_BACKOFF_MIN_S, _BACKOFF_MAX_S = 1.0, 30.0


class Breaker:
    """Decides whether the engine may be started again after failures.

    One failure costs nothing, each further one within a minute doubles the pause from 1 s to
    30 s, and five in a minute close the door for that minute.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[float] = deque()

    def failed(self) -> None:
        """The engine died or could not be started."""
        self._failures.append(self._clock())

    def succeeded(self) -> None:
        """A request was served."""
        self._failures.clear()

    @property
    def n_failures(self) -> int:
        """Failures within the last minute, as of the last ``wait_s``."""
        return len(self._failures)

    def wait_s(self) -> float:
        """Seconds until the next start is allowed; 0 if it is now."""
        now = self._clock()
        while self._failures and now - self._failures[0] > _WINDOW_S:
            self._failures.popleft()
        n_failures = len(self._failures)
        if n_failures < 2:
            return 0.0
        if n_failures >= _MAX_FAILURES:
            return max(0.0, self._failures[0] + _WINDOW_S - now)
        pause = min(_BACKOFF_MAX_S, _BACKOFF_MIN_S * 2.0 ** (n_failures - 2))
        return max(0.0, self._failures[-1] + pause - now)
