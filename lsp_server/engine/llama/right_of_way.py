"""Who may interrupt whom: what the engine is evaluating, and whether it is worth going on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

from context.sequences import common_prefix_length
from lsp_server.engine.job import Job
from lsp_server.engine.llama.model import LlamaModel


class RightOfWay:
    """Stops an evaluation that keeps somebody waiting; any thread may ask it to.

    Args:
        llama: the model.
    """

    def __init__(self, llama: LlamaModel) -> None:
        self._llama = llama
        self._guard = threading.Lock()
        # What the running step evaluates, and whether it is a piece of a prompt.
        self._at_work: tuple[Job, ...] = ()
        self._prefilling = False
        self._for_nobody = False

    @property
    def at_work(self) -> tuple[Job, ...]:
        """Jobs of the running step."""
        return self._at_work

    @property
    def for_nobody(self) -> bool:
        """Whether a piece of work runs that nobody waits for."""
        return self._for_nobody

    @contextlib.contextmanager
    def step(self, jobs: Sequence[Job], *, prefilling: bool) -> Iterator[None]:
        """A step for some jobs.

        Args:
            jobs: that are evaluated.
            prefilling: whether pieces of prompts are.
        """
        with self._guard:
            self._llama.clear_abort()
            self._at_work = tuple(jobs)
            self._prefilling = prefilling
        try:
            yield
        finally:
            with self._guard:
                self._at_work = ()
                self._prefilling = False

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """A piece of work that nobody waits for: anybody interrupts it."""
        with self._guard:
            self._llama.clear_abort()
            self._for_nobody = True
        try:
            yield
        finally:
            with self._guard:
                self._for_nobody = False

    def interrupt(self, job: Job) -> None:
        """A job was cancelled.

        Only a step that does nothing but generate text for it is stopped at once. A piece of a
        prompt is evaluated to its end: the next request of the same document needs it.
        """
        with self._guard:
            if self._at_work == (job,) and not self._prefilling:
                self._llama.abort()

    def make_way(self, job: Job) -> None:
        """Somebody waits for a job; what is being evaluated goes on if the job can use it."""
        with self._guard:
            if self._for_nobody or (
                self._prefilling and not any(_shares(other, job) for other in self._at_work)
            ):
                self._llama.abort()

    def halt(self) -> None:
        """Stop whatever runs."""
        with self._guard:
            self._llama.abort()


def _shares(running: Job, waiting: Job) -> bool:
    """Whether most of the prefix that is being evaluated is the waiting job's as well."""
    if running.request.adapters != waiting.request.adapters:
        return False
    ours, theirs = _prefix(running), _prefix(waiting)
    n_shared = common_prefix_length(ours, theirs)
    return 2 * n_shared > len(ours)


def _prefix(job: Job) -> bytes:
    texts: list[str] = []
    for segment in job.request.segments:
        if segment.role == "fim_suffix":
            break
        texts.append(segment.text)
    return "".join(texts).encode("utf-8", "replace")
