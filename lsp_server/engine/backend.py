"""What turns a prompt into tokens: the interface of back ends, and which one is opened.

A backend runs in the engine's worker thread, one job at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from lsp_server.engine.job import Job
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import SlotStatus
from lsp_server.errors import EngineUnavailableError


class BackendInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded backend is."""

    name: str
    n_ctx: int
    n_threads: int = 0
    n_gpu_layers: int = 0
    flash_attention: bool = False
    slots: tuple[SlotStatus, ...] = ()


class Backend(Protocol):
    """A loaded model."""

    def info(self) -> BackendInfo:
        """What it is, and its slots."""

    def run(self, job: Job) -> None:
        """Serve a job, to its last chunk.

        Raises:
            EngineRefusedError: the job cannot be served; the backend stays usable.
        """

    def interrupt(self, job: Job) -> None:
        """Stop the evaluation of a cancelled job; called from any thread."""

    def close(self) -> None:
        """Free everything."""


def open_backend(options: EngineOptions, on_progress: Callable[[float], bool]) -> Backend:
    """Load the backend that ``options`` name.

    Args:
        options: see EngineOptions.
        on_progress: called with 0..1 while it loads; returning False stops the load.

    Raises:
        MidfillError: it cannot be loaded; the message says why and what to do.
    """
    # Each back end is imported only when it is used: llama_cpp takes half a second.
    if options.backend == "scripted":
        from lsp_server.engine.scripted import ScriptedBackend

        return ScriptedBackend(options)
    from lsp_server.models.gate import ensure_trusted

    ensure_trusted(Path(options.model_path))
    try:
        from lsp_server.engine.llama_backend import LlamaBackend
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineUnavailableError(
            f"llama-cpp-python cannot be imported ({error}).",
            code="llama_missing",
            hint="Install the local engine: pip install 'midfill[local]'",
        ) from error
    return LlamaBackend(options, on_progress)
