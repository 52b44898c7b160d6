"""The prompt of the likely next request, evaluated while the user reads."""

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
    """Evaluates one prompt at a time, after a pause, and gives way to every request.

    Args:
        evaluate: evaluates the prompt of a spot.
        pause_ms: how long the cursor must have rested.
    """

    def __init__(
        self, evaluate: Callable[[Spot], Coroutine[Any, Any, None]], pause_ms: float = 300.0
    ) -> None:
        self._evaluate = evaluate
        self._pause_ms = pause_ms
        self._task: asyncio.Task[None] | None = None

    def want(self, spot: Spot) -> None:
        """The cursor is here now; what was wanted before is not needed any more."""
        self.cancel()
        self._task = asyncio.create_task(self._after_pause(spot))

    def cancel(self) -> None:
        """A request came, which evaluates its prompt itself."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _after_pause(self, spot: Spot) -> None:
        await asyncio.sleep(self._pause_ms / 1000)
        await self._evaluate(spot)
