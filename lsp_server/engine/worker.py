"""The thread that owns the back end: loads it when it is needed, frees it when it is not.

        ┌───────────────────── a job, wake ─────────────────────┐
        ▼                                                       │
    loading ──▶ ready ── no job for unload_idle_s ──▶ unloaded ─┘
        │  ╲      │                                       ▲
        ▼   ╲     ▼                                       │
    failed   ╲──▶ paused ───────────── resume ────────────┘

What the thread is to do is the lanes' order; it waits on their lock and never polls. ``failed`` is
the end: the process leaves, and the next request starts a new one.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from lsp_server.engine import pause
from lsp_server.engine.backend import Backend, BackendInfo
from lsp_server.engine.job import Job
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.loader import open_backend
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import EngineState, StateChange
from lsp_server.engine.texts import Texts
from lsp_server.errors import MidfillError

log = logging.getLogger("midfill.engine")

_PROGRESS_STEP = 0.1

Loader = Callable[[EngineOptions, Callable[[float], bool]], Backend]


class Worker:
    """Serves the jobs of the lanes in a thread of its own, with a model that comes and goes.

    Args:
        options: what to load.
        lanes: the jobs, and the orders.
        on_state: called in the thread with each state it reaches; ``unloaded`` and ``paused``
            are reached when the memory is free.
        loader: opens the back end (replaced in tests).
        texts: of the workspaces, for the back end; None for none.

    Attributes:
        keep_prompts: whether the back end may save prompts to disk when it closes.
    """

    def __init__(
        self,
        options: EngineOptions,
        lanes: Lanes,
        on_state: Callable[[StateChange], None],
        loader: Loader = open_backend,
        texts: Texts | None = None,
    ) -> None:
        self._options = options
        self._lanes = lanes
        self._on_state = on_state
        self._texts = texts
        self._loader = loader
        # With what the model was when it was loaded last; clients size their prompts by it.
        self._state = StateChange(state="loading", model=options.model_id)
        self._info: BackendInfo | None = None
        # Other threads reach the back end only under this lock, so none is used once it closes.
        self._guard = threading.Lock()
        self._backend: Backend | None = None
        self._load_stopped = False
        self.keep_prompts = True
        self._thread = threading.Thread(target=self._work, name="engine-worker", daemon=True)

    # -- called from any thread ----------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread's end, once the lanes are closed."""
        self._thread.join(timeout_s)

    def info(self) -> BackendInfo | None:
        """What the back end is; without one what it was, with no slots; None before the first."""
        with self._guard:
            if self._backend is not None:
                return self._backend.info()
            return self._info

    def make_way(self, job: Job) -> None:
        """Somebody waits for this job: stop what keeps it waiting."""
        with self._guard:
            if self._backend is not None:
                self._backend.make_way(job)

    def interrupt(self, job: Job) -> None:
        """Stop the evaluation of a cancelled job."""
        with self._guard:
            if self._backend is not None:
                self._backend.interrupt(job)

    def halt(self) -> None:
        """Stop whatever is evaluated; the jobs are cancelled and the order is no more to serve."""
        with self._guard:
            if self._backend is not None:
                self._backend.halt()

    # -- the thread ----------------------------------------------------------------------

    def _work(self) -> None:
        while (order := self._lanes.order) != "leave":
            if order == "serve":
                try:
                    if self._load():
                        self._serve()
                except Exception as error:
                    self._fail(error)
                    return
                self._unload()
            else:
                self._tell_rest(paused=order == "pause")
                self._lanes.await_other(order)

    def _load(self) -> bool:
        """Open the back end; False if another order came meanwhile."""
        self._load_stopped = False
        self._tell("loading")
        try:
            backend = self._loader(self._options, self._on_progress)
        except Exception:
            if self._load_stopped:
                return False
            raise
        if self._texts is not None:
            backend.read_from(self._texts)
        info = backend.info()
        with self._guard:
            self._backend = backend
        self._tell(
            "ready",
            message=info.notice,
            on_gpu=info.on_gpu,
            n_ctx=info.n_ctx,
            repo_level=info.repo_level,
        )
        return True

    def _fail(self, error: Exception) -> None:
        if isinstance(error, MidfillError):
            log.error("the model cannot be loaded: %s", error.code)
            self._tell("failed", code=error.code, message=error.message, hint=error.hint)
            return
        if self._backend is None:
            log.error("the model cannot be loaded", exc_info=error)
            self._tell("failed", code="load_failed", message=type(error).__name__)
            return
        # Its message may hold text of the user's files, which must not reach the log.
        log.error("the back end failed: %s", type(error).__name__)
        self._tell(
            "failed",
            code="engine_failed",
            message=f"The engine failed ({type(error).__name__}).",
        )

    def _serve(self) -> None:
        # A job may come between the back end's leaving and here: then it goes on.
        assert self._backend is not None
        while self._lanes.order == "serve":
            self._backend.serve(self._lanes)

    def _unload(self) -> None:
        with self._guard:
            backend, self._backend = self._backend, None
            if backend is not None:
                self._info = msgspec.structs.replace(backend.info(), slots=())
        if backend is not None:
            backend.close(keep_prompts=self.keep_prompts)
            del backend
        give_back_memory()

    def _on_progress(self, progress: float) -> bool:
        if progress - self._state.progress >= _PROGRESS_STEP:
            self._tell("loading", progress=progress)
        self._load_stopped = self._load_stopped or self._lanes.order != "serve"
        return not self._load_stopped

    def _tell_rest(self, *, paused: bool) -> None:
        if paused:
            self._tell("paused", code=pause.CODE, message=pause.MESSAGE, hint=pause.HINT)
        else:
            self._tell("unloaded")

    def _tell(self, state: EngineState, **fields: Any) -> None:
        """Reach a state; of the one before only what the model is stays."""
        before = self._state
        about: dict[str, Any] = {
            "model": before.model,
            "on_gpu": before.on_gpu,
            "n_ctx": before.n_ctx,
            "repo_level": before.repo_level,
        }
        self._state = StateChange(state=state, **(about | fields))
        if state != before.state:
            log.info("%s", state)
        self._on_state(self._state)


def give_back_memory() -> None:
    """Return freed memory to the system, which the C library would keep for later."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
