"""When to ask: the newest request of a document wins, after a pause in typing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from lsp_server.types import CompletionRequest, Skip

T = TypeVar("T")

SUPERSEDED = Skip(reason="superseded", message="A newer request for this document came in.")


class Scheduler:
    """At most one running request per document.

    Args:
        debounce_ms: pause before an automatic request is served.
    """

    def __init__(self, debounce_ms: float) -> None:
        self.debounce_ms = debounce_ms
        self._running: dict[str, asyncio.Task[Any]] = {}

    async def run(self, uri: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T | Skip:
        """Run ``work`` as the newest request of a document; an older one gives SUPERSEDED.

        Cancelling the caller cancels the work.
        """
        self.cancel(uri)
        task = asyncio.create_task(work())
        self._running[uri] = task
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                raise
            return SUPERSEDED
        finally:
            if self._running.get(uri) is task:
                del self._running[uri]

    def pause_left_ms(self, request: CompletionRequest, wait_ms: float = 0.0) -> float:
        """How long to wait yet for a newer request, which would cancel this one; 0 if no longer.

        Args:
            request: which has come some time ago.
            wait_ms: what the user's typing says, see Rhythm.
        """
        if request.trigger != "automatic":
            return 0.0
        since_ms = 1000 * (time.monotonic() - request.received_s) if request.received_s else 0.0
        return max(0.0, max(self.debounce_ms, wait_ms) - since_ms)

    def cancel(self, uri: str) -> None:
        """Cancel the running request of a document, if there is one."""
        if task := self._running.pop(uri, None):
            task.cancel()

    def cancel_all(self) -> None:
        """Cancel everything."""
        for uri in list(self._running):
            self.cancel(uri)
