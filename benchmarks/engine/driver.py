"""The engine in this process: its back end in a thread of its own, and jobs that keep time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.engine.timer import DecodeTimer
from lsp_server.engine.job import Job
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.loader import open_backend
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import Generate
from lsp_server.engine.texts import Texts
from lsp_server.errors import EngineError, MidfillError
from lsp_server.types import FinishReason, Timings, TokenChunk

if TYPE_CHECKING:
    from lsp_server.engine.llama.model import LlamaModel

_PATIENCE_S = 1800.0


class Recorded(Job):
    """A job that keeps what it is told, and when.

    Args:
        request: what is asked for.
        client: who asks.
        on_chunk: called with each chunk, in the engine's thread.
    """

    def __init__(
        self,
        request: Generate,
        client: str = "",
        on_chunk: Callable[[TokenChunk], None] = lambda _: None,
    ) -> None:
        super().__init__(
            request,
            answer=lambda _: None,
            loop=None,  # type: ignore[arg-type]  # emit and refuse, which use it, are ours
            client=client,
        )
        self.chunks: list[tuple[float, TokenChunk]] = []
        self._refusal: MidfillError | None = None
        self._on_chunk = on_chunk
        self._over = threading.Event()

    def emit(self, chunk: TokenChunk) -> None:
        """Keep a chunk."""
        self.chunks.append((time.monotonic(), chunk))
        self._on_chunk(chunk)
        if chunk.finish_reason is not None:
            self._over.set()

    def refuse(self, error: MidfillError) -> None:
        """Keep the reason."""
        self._refusal = error
        self._over.set()

    def is_over_within(self, timeout_s: float) -> bool:
        """Wait at most so long for the end; whether it came."""
        return self._over.wait(timeout_s)

    def wait(self) -> None:
        """Wait for the end.

        Raises:
            MidfillError: the engine refused the job, or does not answer any more.
        """
        if not self._over.wait(_PATIENCE_S):
            raise EngineError("The engine does not answer any more.", code="engine_stuck")
        if self._refusal is not None:
            raise self._refusal

    @property
    def text(self) -> str:
        """All text."""
        return "".join(chunk.text for _, chunk in self.chunks)

    @property
    def token_times_s(self) -> list[float]:
        """When each token came."""
        return [at_s for at_s, chunk in self.chunks for _ in chunk.logprobs]

    @property
    def timings(self) -> Timings:
        """Of the whole job."""
        return self.chunks[-1][1].timings or Timings()

    @property
    def prefilled_s(self) -> float:
        """When its prompt was evaluated; infinite if it was not."""
        told = (at_s for at_s, c in self.chunks if c.timings and c.finish_reason is None)
        return next(told, float("inf"))

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why it ended."""
        return self.chunks[-1][1].finish_reason

    @property
    def ended_s(self) -> float:
        """When the last chunk came."""
        return self.chunks[-1][0]


class Engine:
    """A loaded model that serves, from ``with`` to its end.

    Args:
        options: of the engine.
        opener: loads the back end.

    Attributes:
        llama: the model; its evaluations are timed.
        timer: of these.
    """

    def __init__(self, options: EngineOptions, opener: Callable[..., Any] | None = None) -> None:
        # A prompt of an earlier run would be found again.
        self.options = options = msgspec.structs.replace(options, kv_store_mib=0)
        load: Callable[..., Any] = opener or open_backend
        self._backend = load(options, lambda _: True)
        self.llama: LlamaModel = self._backend._llama
        self.timer = DecodeTimer(self.llama)
        self._lanes = Lanes()
        self._jobs: list[Recorded] = []
        self._failed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)

    def __enter__(self) -> Engine:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._lanes.close()
        self._thread.join(_PATIENCE_S)
        # A thread that still evaluates would use what close frees.
        if not self._thread.is_alive():
            self._backend.close()

    def _serve(self) -> None:
        try:
            self._backend.serve(self._lanes)
        except Exception as error:
            self._failed.set()
            for job in self._jobs:
                job.refuse(EngineError(f"The engine failed: {error}", code="engine_failed"))

    def know(self, texts: Texts) -> None:
        """Have the n-gram model made of some texts."""
        self._backend.read_from(texts)

    def put(self, job: Recorded) -> Recorded:
        """Let a job wait for its turn, as the engine process does."""
        self._jobs = [job, *(other for other in self._jobs if not other.is_over_within(0))]
        self._lanes.put(job)
        if job.request.lane == "interactive":
            self._backend.make_way(job)
        if self._failed.is_set():
            job.refuse(EngineError("The engine has failed.", code="engine_failed"))
        return job

    def run(self, request: Generate, client: str = "") -> Recorded:
        """Serve a request to its end.

        Raises:
            MidfillError: the engine refused it.
        """
        job = self.put(Recorded(request, client))
        job.wait()
        return job

    def cancel(self, job: Recorded) -> None:
        """Lose interest, as the engine process does for a client."""
        job.cancel()
        if self._lanes.remove(job):
            job.emit(
                TokenChunk(request_id=job.request.request_id, text="", finish_reason="cancelled")
            )
        else:
            self._backend.interrupt(job)

    @contextlib.contextmanager
    def endless(self) -> Iterator[None]:
        """While the context lasts, nothing ends a text but its length.

        llama-bench decodes any tokens, too; and clients that share the engine must have the same
        to do.
        """
        tokenizer: Any = self.llama.tokenizer
        before = tokenizer.is_stop
        tokenizer.is_stop = lambda _token: False
        try:
            yield
        finally:
            tokenizer.is_stop = before


def info_of(engine: Engine) -> dict[str, Any]:
    """What llama-bench must be told so that it runs as the engine does.

    Args:
        engine: loaded.

    Returns:
        ``n_threads``, ``n_ubatch``, ``flash_attention`` and ``n_gpu_layers``.
    """
    llama = engine.llama
    return {
        "n_threads": llama.n_threads,
        "n_ubatch": llama.n_ubatch,
        "flash_attention": llama.flash_attention,
        "n_gpu_layers": llama.n_gpu_layers,
    }
