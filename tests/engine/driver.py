"""Drives a back end without a socket: jobs that keep what they are told, a thread that serves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from context.types import Segment
from lsp_server.engine.backend import Backend
from lsp_server.engine.job import Job
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.protocol import Generate
from lsp_server.errors import MidfillError
from lsp_server.types import SamplingParams, TokenChunk

_PATIENCE_S = 120
AnyBackend = TypeVar("AnyBackend", bound=Backend)


def fim_request(before: str, after: str, **options: Any) -> Generate:
    """A request to fill the hole between two texts.

    Args:
        before: text left of the cursor.
        after: text right of it.
        options: ``max_tokens`` (default 24), ``temperature``, and fields of Generate.
    """
    segments = (
        Segment(role="fim_prefix"),
        Segment(role="text", text=before),
        Segment(role="fim_suffix"),
        Segment(role="text", text=after),
        Segment(role="fim_middle"),
    )
    sampling = SamplingParams(
        max_tokens=options.pop("max_tokens", 24), temperature=options.pop("temperature", 0.0)
    )
    return Generate(request_id=1, segments=segments, sampling=sampling, **options)


class Recorder(Job):
    """A job that keeps what it is told.

    Args:
        request: what is asked for.
        client: who asks.
        on_chunk: called with each chunk, in the thread that serves.
    """

    def __init__(
        self,
        request: Generate,
        client: str = "",
        on_chunk: Callable[[Recorder, TokenChunk], None] | None = None,
    ) -> None:
        super().__init__(
            request,
            answer=lambda _: None,
            loop=None,  # type: ignore[arg-type]
            client=client,
        )
        self.chunks: list[TokenChunk] = []
        self.refusal: MidfillError | None = None
        self._on_chunk = on_chunk
        self._over = threading.Event()

    def emit(self, chunk: TokenChunk) -> None:
        """Keep the chunk."""
        self.chunks.append(chunk)
        if self._on_chunk:
            self._on_chunk(self, chunk)
        if chunk.finish_reason is not None:
            self._over.set()

    def refuse(self, error: MidfillError) -> None:
        """Keep the error."""
        self.refusal = error
        self._over.set()

    def wait(self) -> None:
        """Wait for the last chunk or the refusal."""
        assert self._over.wait(_PATIENCE_S)

    @property
    def text(self) -> str:
        """All text."""
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def last(self) -> TokenChunk:
        """The last chunk."""
        return self.chunks[-1]


class Driver(Generic[AnyBackend]):
    """A back end at work in a thread of its own, from ``with`` to its end.

    Args:
        backend: loaded; it is closed at the end.
    """

    def __init__(self, backend: AnyBackend) -> None:
        self.backend = backend
        self.lanes = Lanes()
        self._thread = threading.Thread(target=backend.serve, args=(self.lanes,))

    def __enter__(self) -> Driver[AnyBackend]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.lanes.close()
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive()
        self.backend.close()

    def put(self, job: Recorder) -> Recorder:
        """Let a job wait for its turn."""
        self.lanes.put(job)
        if job.request.lane == "interactive":
            self.backend.make_way(job)
        return job

    def run(self, wanted: Generate) -> Recorder:
        """Serve a request to its end; a refusal is raised."""
        job = self.put(Recorder(wanted))
        job.wait()
        if job.refusal is not None:
            raise job.refusal
        return job

    def cancel(self, job: Recorder) -> None:
        """Lose interest."""
        job.cancel()
        self.backend.interrupt(job)
