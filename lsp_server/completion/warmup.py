"""The prompt of the likely next request, evaluated before it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from lsp_server.types import Snapshot


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """Where the next request is likely to come from.

    Args:
        snapshot: the text.
        line: zero-based line of the cursor.
        column: zero-based column in code points.
    """

    snapshot: Snapshot
    line: int
    column: int


class WarmUp:
    """At most one evaluation, of what was wanted last."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def want(self, evaluate: Callable[[], Coroutine[Any, Any, None]], pause_ms: float) -> None:
        """Evaluate something instead of what was wanted before.

        Args:
            evaluate: does it, and may be cancelled at any time.
            pause_ms: begin after this, unless something else is wanted meanwhile.
        """
        self.cancel()
        self._task = asyncio.create_task(self._after(pause_ms, evaluate))

    def cancel(self) -> None:
        """Nothing is wanted any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _after(
        self, pause_ms: float, evaluate: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        await asyncio.sleep(pause_ms / 1000)
        await evaluate()
