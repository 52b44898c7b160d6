"""Start an engine process, and find those that run."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from lsp_server import paths
from lsp_server.engine import protocol
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import EngineStatus, StateChange
from lsp_server.errors import EngineUnavailableError, ProtocolError

_MAX_LOG_BYTES = 1024 * 1024
Answer = TypeVar("Answer")


def start_engine(options: EngineOptions) -> subprocess.Popen[bytes]:
    """Start the process for these options; if one runs already, the new one leaves by itself.

    The process is detached: it outlives this one, and is ended by its own idle time.

    Raises:
        EngineUnavailableError: it cannot be started.
        StoreError: a folder for its socket or log cannot be used.
    """
    paths.private_dir(paths.runtime_dir())
    # -P keeps the current folder (a user's project) off the import path.
    command = [sys.executable, "-P", "-m", "lsp_server.engine.host"]
    command.append(msgspec.json.encode(options).decode())
    try:
        with _open_log(options.log_path) as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=paths.runtime_dir(),
                start_new_session=True,
                close_fds=True,
            )
    except OSError as error:
        raise EngineUnavailableError(
            f"The engine process cannot be started: {error.strerror or error}.",
            code="engine_start_failed",
            hint="Run: midfill doctor",
        ) from error


def _open_log(path: Path):  # type: ignore[no-untyped-def]
    try:
        paths.private_dir(path.parent)
        mode = "wb" if path.exists() and path.stat().st_size > _MAX_LOG_BYTES else "ab"
        return path.open(mode)
    except Exception:
        # Without a place for its log the engine still works.
        return open(os.devnull, "wb")


async def query(socket: Path, timeout_s: float = 5.0) -> EngineStatus | None:
    """The status of the engine at a socket; None if none answers there."""
    return await _ask(socket, protocol.StatusQuery(), _status_in, timeout_s)


async def stop(socket: Path, timeout_s: float = 10.0, *, keep_prompts: bool = True) -> bool:
    """Make the engine at a socket leave; True once it is gone, False if none answered.

    Args:
        socket: of the engine.
        timeout_s: how long to wait for its end.
        keep_prompts: whether it may save its prompts to disk before.
    """
    status = await query(socket)
    if status is None:
        return False
    await _ask(socket, protocol.Shutdown(keep_prompts=keep_prompts), _status_in, timeout_s)
    return True


async def tell_paused(socket: Path, paused: bool, timeout_s: float = 10.0) -> bool:
    """Tell the engine at a socket that the user pauses or goes on.

    Returns:
        True once it is so, and the model's memory free after a pause; False if none answered.
    """
    wanted = ("paused", "failed") if paused else ("loading", "ready", "unloaded", "failed")

    def reached(answer: protocol.EngineMessage) -> str | None:
        # The engine's first message is the state it is in.
        is_wanted = isinstance(answer, StateChange) and answer.state in wanted
        return answer.state if isinstance(answer, StateChange) and is_wanted else None

    state = await _ask(socket, protocol.Pause(paused=paused), reached, timeout_s)
    return state is not None


def _status_in(answer: protocol.EngineMessage) -> EngineStatus | None:
    return answer if isinstance(answer, EngineStatus) else None


async def _ask(
    socket: Path,
    message: protocol.ClientMessage,
    wanted: Callable[[protocol.EngineMessage], Answer | None],
    timeout_s: float,
) -> Answer | None:
    """Send one message and read until ``wanted`` finds the answer or the engine closes."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                hello = protocol.Hello(
                    protocol=protocol.PROTOCOL_VERSION, pid=os.getpid(), client="query"
                )
                writer.write(protocol.encode(hello) + protocol.encode(message))
                while (body := await protocol.read_frame(reader)) is not None:
                    if (answer := wanted(protocol.decode_engine(body))) is not None:
                        return answer
            finally:
                writer.close()
    except (OSError, TimeoutError, ProtocolError):
        return None
    return None


def sockets(runtime_dir: Path | None = None) -> list[Path]:
    """Sockets of engines that may run (one left by a killed engine is among them)."""
    return sorted((runtime_dir or paths.runtime_dir()).glob("engine-*.sock"))


async def tell_all_paused(paused: bool, runtime_dir: Path | None = None) -> int:
    """Tell all engines of this user; gives how many heard it."""
    told = (tell_paused(socket, paused) for socket in sockets(runtime_dir))
    return sum(await asyncio.gather(*told))


async def stop_all(runtime_dir: Path | None = None, *, keep_prompts: bool = True) -> int:
    """Make all engines of this user leave; gives how many did."""
    results = await asyncio.gather(
        *(stop(socket, keep_prompts=keep_prompts) for socket in sockets(runtime_dir))
    )
    return sum(results)
