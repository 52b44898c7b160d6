"""What a side is, and what it answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from benchmarks.latency.session import Event, Moment


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A suggestion and when its parts came; times since the request, 0 where nothing came.

    Args:
        text: the suggestion.
        ttft_ms: until the first token.
        display_ms: until the first text that is more than white space.
        line_ms: until the first line was whole.
        total_ms: until the whole suggestion.
        n_prompt: tokens of the prompt; None where the side does not say.
        n_evaluated: of these, evaluated for this request; None where the side does not say.
    """

    text: str
    ttft_ms: float
    display_ms: float
    line_ms: float
    total_ms: float
    n_prompt: int | None = None
    n_evaluated: int | None = None


class Side(Protocol):
    """One of those who are measured; calls come in order. ``apply`` may come during an ``ask``."""

    name: str

    async def start(self) -> None:
        """Get the model loaded and warm, with nothing of the session in the KV cache."""

    async def apply(self, event: Event, moment: Moment) -> None:
        """An event of the session; ``moment`` is the editor after it."""

    async def ask(self, moment: Moment) -> Answer:
        """Ask for a suggestion; cancelling the call takes the request back."""

    async def settle(self) -> None:
        """Wait until nothing of a request that was taken back is still evaluated."""

    async def aclose(self) -> None:
        """End everything that was started."""


class Stopwatch:
    """Collects a stream of text and notes when its parts came.

    Args:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._started_s = clock()
        self.text = ""
        self.ttft_ms = 0.0
        self.display_ms = 0.0
        self.line_ms = 0.0

    @property
    def elapsed_ms(self) -> float:
        """Since the request."""
        return 1000 * (self._clock() - self._started_s)

    def take(self, piece: str) -> None:
        """More text has come."""
        if piece:
            self.show(self.text + piece)

    def show(self, text: str) -> None:
        """All of the text that there is by now."""
        now_ms = self.elapsed_ms
        self.text = text
        if text and not self.ttft_ms:
            self.ttft_ms = now_ms
        if text.strip() and not self.display_ms:
            self.display_ms = now_ms
        # A line break before the first text only says where the text begins.
        if "\n" in text.lstrip() and not self.line_ms:
            self.line_ms = now_ms

    def answer(
        self,
        *,
        ttft_ms: float | None = None,
        n_prompt: int | None = None,
        n_evaluated: int | None = None,
    ) -> Answer:
        """The text is whole.

        Args:
            ttft_ms: where the side knows better than the first text tells.
            n_prompt: see Answer.
            n_evaluated: see Answer.
        """
        total_ms = self.elapsed_ms
        return Answer(
            text=self.text,
            ttft_ms=self.ttft_ms if ttft_ms is None else ttft_ms,
            display_ms=self.display_ms,
            line_ms=(self.line_ms or total_ms) if self.text.strip() else 0.0,
            total_ms=total_ms,
            n_prompt=n_prompt,
            n_evaluated=n_evaluated,
        )
