"""Notices that the editor died without closing the channel."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

WATCH_INTERVAL_S = 2.0


class ParentWatch:
    """Whether the process that wanted this server is still there.

    Args:
        process_id: ``initialize.processId``; None watches the process that started this one.
    """

    def __init__(self, process_id: int | None) -> None:
        # psutil takes 30 ms to import; the answer to initialize does not wait for it.
        import psutil

        self._parent_id = os.getppid()
        self._process: psutil.Process | None = None
        if process_id is not None:
            try:
                self._process = psutil.Process(process_id)
            except (psutil.Error, ValueError, OverflowError):
                # A client in another container: its process ids mean nothing here.
                self._process = None

    def is_alive(self) -> bool:
        """False when the editor has ended, even if its process id is in use again."""
        if self._process is None:
            return os.getppid() == self._parent_id
        import psutil

        try:
            running: bool = self._process.is_running()
            return running and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:
            return True


async def watch(
    parent: ParentWatch,
    on_dead: Callable[[], None],
    interval_s: float = WATCH_INTERVAL_S,
) -> None:
    """Look after the editor until it has ended, then call ``on_dead``.

    Args:
        parent: the process.
        on_dead: called once.
        interval_s: seconds between two looks.
    """
    while parent.is_alive():
        await asyncio.sleep(interval_s)
    on_dead()
