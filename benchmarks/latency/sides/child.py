"""A server of a peer: a private child process that listens on 127.0.0.1 and dies with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psutil

from benchmarks import options
from benchmarks.latency.sides import http
from lsp_server.errors import EngineError

# Isolated (-I): its folder must not hide modules of the standard library.
KEEPER = (sys.executable, "-I", str(Path(__file__).with_name("keeper.py")))
_START_S = 180.0
_LEAVE_S = 10.0
_POLL_S = 0.05
# A process counts as idle when it used less than this share of one core between two looks.
_IDLE_SHARE = 0.2
_SETTLE_S = 60.0


class Server:
    """A server process.

    Args:
        name: for errors and the log file.
        command: how it is started on a port.
        health: path that answers 200 when it is ready.
        environment: variables beside ours.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[int], Sequence[str]],
        *,
        health: str,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.port = 0
        self._name = name
        self._command = command
        self._health = health
        self._environment = environment or {}
        self._process: asyncio.subprocess.Process | None = None
        self._log = options.cache_folder("logs") / f"{name.replace('/', '-').replace(' ', '-')}.log"

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            EngineError: it ended or was not ready in time; the message names its log.
        """
        self.port = _free_port()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *KEEPER,
                *self._command(self.port),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        deadline_s = time.monotonic() + _START_S
        while not await http.is_ready(self.port, self._health):
            if self._process.returncode is not None:
                raise self._failed("ended before it was ready")
            if time.monotonic() > deadline_s:
                await self.aclose()
                raise self._failed(f"was not ready within {_START_S:g} s")
            await asyncio.sleep(_POLL_S)

    async def settle(self) -> None:
        """Wait until it is idle."""
        if self._process is not None:
            keeper = psutil.Process(self._process.pid)
            await quiet([keeper, *keeper.children(recursive=True)])

    async def aclose(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()

    def _failed(self, what: str) -> EngineError:
        try:
            lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        last = f" Its last words: {lines[-1].strip()[:200]}" if lines else ""
        return EngineError(
            f"The server {self._name} {what}.{last}",
            code="peer_failed",
            hint=f"See {self._log}, or leave it out with --peers.",
        )


async def quiet(processes: Iterable[psutil.Process]) -> None:
    """Wait until processes are idle, by the processor time they use; at most a minute."""
    watched = list(processes)
    deadline_s = time.monotonic() + _SETTLE_S
    before = _cpu_s(watched)
    while time.monotonic() < deadline_s:
        await asyncio.sleep(_POLL_S)
        now = _cpu_s(watched)
        if now - before < _IDLE_SHARE * _POLL_S:
            return
        before = now


def _cpu_s(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
