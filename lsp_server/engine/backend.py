"""What turns a prompt into tokens: the interface of back ends.

A backend runs in the engine's worker thread, one job at a time.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from lsp_server.engine.job import Job
from lsp_server.engine.protocol import SlotStatus


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
