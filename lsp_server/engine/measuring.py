"""Measuring a model in a process of its own: whatever a model file does, the caller goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

from lsp_server import paths
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.speeds import Speed
from lsp_server.errors import EngineUnavailableError

_MODULE = "lsp_server.engine.llama.measure"
# Besides the weights: the KV cache, buffers, and room for the programs around.
_SPARE_BYTES = 1024**3


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the measuring process.

    Args:
        progress: 0 to 1.
        speed: the figures, on the last line.
        code: reason code of a failure, on the last line.
        message: what went wrong.
        hint: what to do about it.
    """

    progress: float = 0.0
    speed: Speed | None = None
    code: str = ""
    message: str = ""
    hint: str = ""


def command(options: EngineOptions) -> list[str]:
    """Command line of the process that measures a model."""
    # -P keeps the current folder (a user's project) off the import path.
    return [sys.executable, "-P", "-m", _MODULE, msgspec.json.encode(options).decode()]


def room_bytes() -> int:
    """Memory for the weights of a model beside what is there, without pushing it out."""
    return max(0, int(psutil.virtual_memory().available) - _SPARE_BYTES)


def has_room(options: EngineOptions) -> bool:
    """Whether the model can be loaded into it."""
    try:
        return Path(options.model_path).stat().st_size <= room_bytes()
    except OSError:
        return False


def read_report(line: bytes) -> Report | None:
    """A line of the process; None if it is something else (a library may print)."""
    try:
        return msgspec.json.decode(line, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def measure(
    options: EngineOptions, on_progress: Callable[[float], None] = lambda _share: None
) -> Speed:
    """Measure a model now; takes some seconds to a minute.

    Args:
        options: what its engine would be started with.
        on_progress: called with 0..1.

    Raises:
        EngineUnavailableError: it cannot be loaded, or its process died.
    """
    last = Report()
    with subprocess.Popen(
        command(options),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=paths.private_dir(paths.runtime_dir()),
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                last = read_report(line) or last
                on_progress(last.progress)
        except BaseException:
            process.kill()
            raise
    if last.speed is not None:
        return last.speed
    raise EngineUnavailableError(
        last.message or f"The process that measured {options.model_id} died.",
        code=last.code or "measure_died",
        hint=last.hint or "Check the model with: midfill model verify",
    )
