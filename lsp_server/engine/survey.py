"""Measuring fetched models that no engine runs, while nobody needs the machine.

It happens in a process of its own, one model at a time, and ends at once when a request comes;
the model's turn then comes again in a later pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterable

from lsp_server.engine import measuring
from lsp_server.engine.options import EngineOptions
from lsp_server.models import machine

log = logging.getLogger("midfill.survey")

# Nobody asked for so long: the user does something else.
_PAUSE_S = 20.0
# A model whose measurement is interrupted so often is left to `midfill model measure`.
_MAX_TRIES = 5
_NICE = 10

Measure = Callable[[EngineOptions], Awaitable[bool]]


class Survey:
    """Measures models in the pauses of an engine; lives on the loop that made it.

    Args:
        is_idle: whether the engine rests.
        measure: measures one model, and says whether that is done; its cancellation ends it.
        may_run: whether the machine can be used now for what nobody waits for.
        pause_s: how long nobody must have asked.
    """

    def __init__(
        self,
        is_idle: Callable[[], bool],
        *,
        measure: Measure | None = None,
        may_run: Callable[[EngineOptions], bool] | None = None,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._is_idle = is_idle
        self._measure = measure or _measure
        self._may_run = may_run or _may_run
        self._pause_s = pause_s
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[EngineOptions, int] = {}
        self._seen: set[EngineOptions] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None
        self._allowed = True

    def add(self, models: Iterable[EngineOptions]) -> None:
        """Measure these as well; each is measured once in the life of an engine."""
        for options in models:
            if options not in self._seen:
                self._seen.add(options)
                self._waiting[options] = 0
        if self._running is None:
            self._wait()

    def disturb(self) -> None:
        """Somebody asks: stop at once, and wait for the next pause."""
        if self._running is not None:
            self._running.cancel()
        else:
            self._wait()

    def allow(self, allowed: bool) -> None:
        """Whether there is anything to wait for: an engine that is paused, or has freed its model,
        does nothing at all, not even look at the clock."""
        if allowed == self._allowed:
            return
        self._allowed = allowed
        self.disturb()

    async def aclose(self) -> None:
        """Stop for good."""
        self._waiting.clear()
        self.disturb()
        if self._running is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        wanted = bool(self._waiting) and self._allowed
        self._timer = self._loop.call_later(self._pause_s, self._start) if wanted else None

    def _start(self) -> None:
        self._timer = None
        ready = [options for options in self._waiting if self._may_run(options)]
        if not ready or not self._is_idle():
            self._wait()
            return
        self._running = asyncio.create_task(self._run(ready[0]))

    async def _run(self, options: EngineOptions) -> None:
        self._waiting[options] += 1
        done = False
        try:
            done = await self._measure(options)
        except asyncio.CancelledError:
            log.info("measuring %s was interrupted", options.model_id)
            done = self._waiting.get(options, _MAX_TRIES) >= _MAX_TRIES
        except Exception:
            log.exception("%s could not be measured", options.model_id)
            done = True
        finally:
            self._running = None
            if done:
                self._waiting.pop(options, None)
            self._wait()


def _may_run(options: EngineOptions) -> bool:
    if machine.on_battery() or not measuring.has_room(options):
        return False
    # Beside a loaded model another may not fit onto the GPU, and would seem slow.
    return options.n_gpu_layers == 0 or not machine.describe().gpu


async def _measure(options: EngineOptions) -> bool:
    """Measure a model in a process; it keeps what it finds."""
    log.info("measuring %s", options.model_id)
    process = await asyncio.create_subprocess_exec(
        *measuring.command(options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    reports = [measuring.read_report(line) for line in output.splitlines()]
    last = next((report for report in reversed(reports) if report is not None), None)
    if last is not None and last.speed is not None:
        log.info("%s: first line in %.0f ms", options.model_id, last.speed.first_line_ms)
    else:
        reason = last.message if last is not None and last.message else "its process died"
        log.warning("%s could not be measured: %s", options.model_id, reason)
    return True
