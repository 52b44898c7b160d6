"""Processes that tests have started, directly or not."""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil

_POLL_S = 0.01


def still_running(processes: Iterable[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait for processes to end; gives those that have not in time.

    One that has ended counts as such at once: whoever adopted it may take seconds to notice, and
    ``psutil.wait_procs`` waits for that.

    Args:
        processes: of which.
        timeout_s: for all of them together.
    """
    until_s = time.monotonic() + timeout_s
    left = [process for process in processes if _runs(process)]
    while left and time.monotonic() < until_s:
        time.sleep(_POLL_S)
        left = [process for process in left if _runs(process)]
    return left


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
