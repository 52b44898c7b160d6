"""When to ask: the newest request of a document wins, after a pause in typing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from lsp_server.types import Skip, Trigger

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

    async def debounce(self, trigger: Trigger) -> None:
        """Wait for a pause in typing; a newer request cancels this one meanwhile."""
        if trigger == "automatic" and self.debounce_ms > 0:
            await asyncio.sleep(self.debounce_ms / 1000)

    def cancel(self, uri: str) -> None:
        """Cancel the running request of a document, if there is one."""
        if task := self._running.pop(uri, None):
            task.cancel()

    def cancel_all(self) -> None:
        """Cancel everything."""
        for uri in list(self._running):
            self.cancel(uri)
