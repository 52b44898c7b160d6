"""llama-cpp-python as a library: ``Llama.create_completion(stream=True)`` in this process."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.extras import needed
from benchmarks.latency.session import Event, Moment
from benchmarks.latency.sides import prompts
from benchmarks.latency.sides.setup import WARM_UP, Setup
from benchmarks.latency.sides.types import Answer, Stopwatch


class Plain:
    """Midfill's prompt given to the library. A running evaluation cannot be taken back."""

    name = "llama-cpp-python"

    def __init__(self, setup: Setup) -> None:
        with needed("llama-cpp-python"):
            import llama_cpp  # noqa: F401
        self._setup = setup
        self._llama: Any = None
        self._turn: asyncio.Future[Any] | None = None

    async def start(self) -> None:
        import llama_cpp

        setup = self._setup
        with contextlib.redirect_stderr(sys.stdout):
            self._llama = await asyncio.to_thread(
                llama_cpp.Llama,
                str(setup.model_path),
                n_ctx=setup.n_ctx,
                n_threads=setup.n_threads,
                n_threads_batch=setup.n_threads,
                flash_attn=True,
                verbose=False,
            )
        await asyncio.to_thread(self._llama.create_completion, WARM_UP, max_tokens=1)

    async def apply(self, event: Event, moment: Moment) -> None:
        """Nothing to keep."""

    async def ask(self, moment: Moment) -> Answer:
        watch = Stopwatch()
        # One evaluation at a time: one that was given up has to end first.
        await self.settle()
        pieces: Iterator[Any] = self._llama.create_completion(
            prompts.marked(moment, self._setup.budget),
            max_tokens=self._setup.max_tokens,
            temperature=0.0,
            stream=True,
        )
        while (piece := await self._next(pieces)) is not None:
            watch.take(str(piece["choices"][0]["text"]))
        return watch.answer()

    async def _next(self, pieces: Iterator[Any]) -> Any:
        # Shielded: a thread goes on when its awaiter is cancelled, and ``settle`` waits for it.
        self._turn = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
        return await asyncio.shield(self._turn)

    async def settle(self) -> None:
        if self._turn is not None:
            await asyncio.wait([self._turn])

    async def aclose(self) -> None:
        await self.settle()
        if self._llama is not None:
            self._llama.close()
            self._llama = None
