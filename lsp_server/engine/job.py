"""A request on its way through the engine: its cancellation, its clock, its stop strings."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

from lsp_server.engine.protocol import Generate, Refused
from lsp_server.errors import MidfillError
from lsp_server.types import FinishReason, Timings, TokenChunk


class Job:
    """A request on its way through the engine.

    Args:
        request: what the client asked for.
        answer: called on the loop with each chunk, or with the refusal.
        loop: the loop the client's connection lives on.
        client: who asked; clients share the engine evenly.
    """

    def __init__(
        self,
        request: Generate,
        *,
        answer: Callable[[TokenChunk | Refused], None],
        loop: asyncio.AbstractEventLoop,
        client: str = "",
    ) -> None:
        self.request = request
        self.client = client
        self.running = False
        self.answer = answer
        self._loop = loop
        self.created_s = time.monotonic()
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether the client has lost interest."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask for the end; the backend's ``interrupt`` makes it quick."""
        self._cancelled.set()

    def wait_cancelled(self, timeout_s: float) -> bool:
        """Wait at most ``timeout_s`` for the cancellation."""
        return self._cancelled.wait(timeout_s)

    def refuse(self, error: MidfillError) -> None:
        """Send the reason why it is not served, from any thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.answer, self.refused(error))

    def refused(self, error: MidfillError) -> Refused:
        """The reason why it is not served, as a message."""
        return Refused(
            request_id=self.request.request_id,
            code=error.code,
            message=error.message,
            hint=error.hint,
        )

    def emit(self, chunk: TokenChunk) -> None:
        """Send a chunk from the worker thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody listens
            self._loop.call_soon_threadsafe(self.answer, chunk)

    def send(
        self,
        text: str,
        logprobs: tuple[float, ...] = (),
        margins: tuple[float, ...] = (),
        entropies: tuple[float, ...] = (),
        supports: tuple[float, ...] = (),
        dissents: tuple[float, ...] = (),
    ) -> None:
        """Send a piece of text; see TokenChunk."""
        if text or logprobs:
            self.emit(
                TokenChunk(
                    request_id=self.request.request_id,
                    text=text,
                    logprobs=logprobs,
                    margins=margins,
                    entropies=entropies,
                    supports=supports,
                    dissents=dissents,
                )
            )

    def prefilled(self, clock: Clock, segment_tokens: tuple[int, ...]) -> None:
        """Tell what the prompt cost, before the first token: a client may leave early."""
        self.emit(
            TokenChunk(
                request_id=self.request.request_id,
                text="",
                timings=clock.timings(),
                segment_tokens=segment_tokens,
            )
        )

    def finish(
        self,
        reason: FinishReason,
        clock: Clock,
        segment_tokens: tuple[int, ...] = (),
        end_logprob: float | None = None,
    ) -> None:
        """Send the last chunk; see TokenChunk."""
        self.emit(
            TokenChunk(
                request_id=self.request.request_id,
                text="",
                end_logprob=end_logprob,
                finish_reason=reason,
                timings=clock.timings(),
                segment_tokens=segment_tokens,
            )
        )


class Clock:
    """Times the steps of a job."""

    def __init__(self, job: Job) -> None:
        self._created_s = job.created_s
        self._last_s = time.monotonic()
        self.spent_ms = {"queue": 1000 * (self._last_s - job.created_s)}
        self.ttft_ms = 0.0
        self.n_prompt = self.n_reused = self.n_generated = 0

    def mark(self, step: str) -> None:
        """The time since the last mark was spent in ``step``."""
        now_s = time.monotonic()
        self.spent_ms[step] = 1000 * (now_s - self._last_s)
        self._last_s = now_s

    def since_mark_ms(self) -> float:
        """Time since the last mark."""
        return 1000 * (time.monotonic() - self._last_s)

    def first_token(self) -> None:
        """The first token is known."""
        if not self.ttft_ms:
            self.ttft_ms = 1000 * (time.monotonic() - self._created_s)

    def timings(self) -> Timings:
        """All of it."""
        return Timings(
            queue_ms=self.spent_ms.get("queue", 0.0),
            tokenize_ms=self.spent_ms.get("tokenize", 0.0),
            prefill_ms=self.spent_ms.get("prefill", 0.0),
            decode_ms=self.spent_ms.get("decode", 0.0),
            ttft_ms=self.ttft_ms,
            total_ms=1000 * (time.monotonic() - self._created_s),
            n_prompt=self.n_prompt,
            n_reused=self.n_reused,
            n_generated=self.n_generated,
        )


class StopStrings:
    """Finds stop strings in a stream, holding back text that may begin one."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = tuple(text for text in stop if text)
        self._held = ""

    def feed(self, text: str) -> tuple[str, bool]:
        """Text that is safe to send, and whether a stop string was met."""
        if not self._stop:
            return text, False
        self._held += text
        found = [at for at in (self._held.find(stop) for stop in self._stop) if at >= 0]
        if found:
            return self._held[: min(found)], True
        n_keep = max(
            size
            for stop in self._stop
            for size in range(len(stop))
            if self._held.endswith(stop[:size])
        )
        cut = len(self._held) - n_keep
        safe, self._held = self._held[:cut], self._held[cut:]
        return safe, False

    def flush(self) -> str:
        """What was held back, once no more text comes."""
        held, self._held = self._held, ""
        return held
