"""Times every evaluation of a model: what is left of a request's time is Python's."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec

_PATIENCE_S = 600.0


class Step(msgspec.Struct, frozen=True):
    """One evaluation.

    Args:
        n_tokens: in the batch.
        started_s: ``time.monotonic()`` before it.
        ended_s: after it.
        whole: False when it was aborted or failed.
    """

    n_tokens: int
    started_s: float
    ended_s: float
    whole: bool

    @property
    def ms(self) -> float:
        """How long it took."""
        return 1000 * (self.ended_s - self.started_s)


class DecodeTimer:
    """Stands between the engine and its model's ``decode``.

    Args:
        llama: the model; its ``decode`` is replaced by one that is timed.

    Attributes:
        steps: all evaluations that are over, oldest first.
    """

    def __init__(self, llama: Any) -> None:
        self.steps: list[Step] = []
        self._inner = llama.decode
        self._changed = threading.Condition()
        self._n_started = 0
        llama.decode = self._decode

    def _decode(self, entries: Sequence[Any], *more: Any, **named: Any) -> Any:
        with self._changed:
            self._n_started += 1
            self._changed.notify_all()
        whole = False
        started_s = time.monotonic()
        try:
            result = self._inner(entries, *more, **named)
            whole = True
            return result
        finally:
            self.steps.append(Step(len(entries), started_s, time.monotonic(), whole))

    @property
    def n_started(self) -> int:
        """Evaluations that have begun so far."""
        return self._n_started

    def wait_started(self, n_started: int) -> bool:
        """Wait until so many evaluations have begun; False if that takes for ever."""
        with self._changed:
            return self._changed.wait_for(lambda: self._n_started >= n_started, _PATIENCE_S)

    def between(self, started_s: float, ended_s: float) -> list[Step]:
        """The evaluations within a stretch of time."""
        return [s for s in self.steps if started_s <= s.started_s and s.ended_s <= ended_s]
