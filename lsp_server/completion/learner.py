"""Learning from the user's decisions while they work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from lsp_server.acceptance import learning
from lsp_server.completion.showing import Judge
from lsp_server.errors import MidfillError
from lsp_server.score import scorer

log = logging.getLogger("midfill.completion")

# Fitting takes a second or two of a thread.
_LEARN_AFTER_S = 60.0


class Learner:
    """Learns once in a session, when the editor has settled.

    Args:
        judge: judges by what was learned.
        is_wanted: whether the user wants that.
    """

    def __init__(self, judge: Judge, is_wanted: Callable[[], bool]) -> None:
        self._judge = judge
        self._is_wanted = is_wanted
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Learn in a while."""
        if self._is_wanted():
            self._task = asyncio.create_task(self._learn())

    def cancel(self) -> None:
        """Learn nothing any more."""
        if self._task is not None:
            self._task.cancel()

    async def _learn(self) -> None:
        await asyncio.sleep(_LEARN_AFTER_S)
        try:
            await asyncio.to_thread(learning.learn)
        except MidfillError as error:
            log.warning("nothing was learned: %s", error)
        self._judge.scorer = scorer.load(own=self._is_wanted())
