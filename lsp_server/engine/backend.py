"""What turns prompts into tokens: the interface of back ends.

A backend runs in the engine's worker thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from lsp_server.engine.job import Clock, Job
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.protocol import PlacementStatus, SlotStatus
from lsp_server.engine.texts import Texts
from lsp_server.errors import EngineRefusedError, MidfillError

log = logging.getLogger("midfill.engine")


class BackendInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded backend is, and what it does at the moment.

    ``repo_level``: whether the model has markers for prompts of several files.
    ``resting`` is False while it works, for a client or for itself; ``notice`` is what was not
    done as the settings say; for the rest see EngineStatus.
    """

    name: str
    n_ctx: int
    n_threads: int = 0
    n_gpu_layers: int = 0
    flash_attention: bool = False
    slots: tuple[SlotStatus, ...] = ()
    resting: bool = True
    speculation: str = ""
    n_guessed: int = 0
    n_guessed_right: int = 0
    placement: PlacementStatus | None = None
    notice: str = ""
    adapters: tuple[str, ...] = ()
    n_stored_prompts: int = 0
    stored_bytes: int = 0
    repo_level: bool = False
    n_unread_texts: int = 0

    @property
    def on_gpu(self) -> bool:
        """Whether all layers are on GPUs."""
        return self.placement is not None and self.n_gpu_layers >= self.placement.n_layers


class Backend(Protocol):
    """A loaded model."""

    def info(self) -> BackendInfo:
        """What it is, and its slots."""

    def serve(self, lanes: Lanes) -> None:
        """Serve jobs until the lanes are closed, which they may be for a while only.

        Every job gets a last chunk or a refusal.
        """

    def read_from(self, texts: Texts) -> None:
        """Have what is written fit these texts too; called before ``serve``, if at all.

        Args:
            texts: of the workspaces; they come and go.
        """

    def interrupt(self, job: Job) -> None:
        """Stop the evaluation of a cancelled job; called from any thread."""

    def make_way(self, job: Job) -> None:
        """Somebody waits for this job: stop what keeps it waiting; called from any thread."""

    def halt(self) -> None:
        """Stop whatever is evaluated; called from any thread.

        The jobs are cancelled and the lanes closed before, so that nothing begins behind it.
        """

    def close(self, *, keep_prompts: bool = True) -> None:
        """Free everything.

        Args:
            keep_prompts: whether what the next start can use may be saved before.
        """


def serve_in_turn(lanes: Lanes, run: Callable[[Job], None]) -> None:
    """Serve jobs one after another, until no more come.

    Args:
        lanes: where they wait.
        run: serves one, to its last chunk; an error refuses the job.
    """
    while not lanes.closed:
        if (job := lanes.take()) is None:
            lanes.wait()
            continue
        job.running = True
        with refusing(job):
            if job.cancelled:
                job.finish("cancelled", Clock(job))
            else:
                run(job)


class refusing:
    """A context in which an error refuses a job and goes no further.

    Args:
        job: whose work is done.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self.failed = False

    def __enter__(self) -> refusing:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self.failed = True
        if not isinstance(error, EngineRefusedError):
            # No text of the user's files may reach the log: the type says enough.
            log.error("request failed: %s", getattr(error, "code", type(error).__name__))
        if not isinstance(error, MidfillError):
            error = EngineRefusedError("The engine failed on this request.", code="engine_failed")
        self._job.refuse(error)
        return True
