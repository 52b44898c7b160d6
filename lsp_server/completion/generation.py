"""One stream of the engine, which serves more than the request it was started for.

Whoever types what a suggestion says needs no other one: the stream goes on, and the next request
follows it from behind what was typed. What it wrote beyond what was shown is the next suggestion
once that is accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator

import msgspec

from lsp_server.completion.place import Place
from lsp_server.completion.suggestion_cache import Saved
from lsp_server.postprocess.onward import Shape
from lsp_server.types import FinishReason, TokenChunk

# A stream nobody follows goes on for so long: the key that was typed may be what it says.
_GRACE_S = 0.25
_numbers = itertools.count(1)


class Generation:
    """One stream, followed by requests one after another, or several at once.

    Args:
        place: where it was started.
        stream: of the engine; closed when nobody follows it any more.
    """

    def __init__(self, place: Place, stream: AsyncGenerator[TokenChunk]) -> None:
        self.place = place
        self._shapes: list[tuple[int, bytes, Shape]] = []
        self.number = next(_numbers)
        self._chunks: list[TokenChunk] = []
        self._ends: list[int] = []
        self._raw = bytearray()
        self._finish: FinishReason | None = None
        self._n_shown = 0
        # Bytes of it up to the end of what has stood before the user's eyes.
        self.n_seen = 0
        self._error: Exception | None = None
        self._more = asyncio.Event()
        self._n_followers = 0
        self._leaving: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._pump(stream))

    async def _pump(self, stream: AsyncGenerator[TokenChunk]) -> None:
        try:
            async with contextlib.aclosing(stream):
                async for chunk in stream:
                    self._raw += chunk.text.encode("utf-8", "replace")
                    self._chunks.append(chunk)
                    self._ends.append(len(self._raw))
                    if chunk.finish_reason in ("stop", "length"):
                        self._finish = chunk.finish_reason
                    self._tell()
        except Exception as error:
            self._error = error
        finally:
            self._tell()

    def _tell(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    @property
    def n_chunks(self) -> int:
        """Chunks that are there by now."""
        return len(self._chunks)

    # -- how it is shown -----------------------------------------------------------------

    def shaped(self, n_typed: int, behind: bytes, shape: Shape) -> None:
        """It is shown from some place on.

        Args:
            n_typed: bytes of it left of the place.
            behind: the text right of the cursor there.
            shape: decides how much is shown.
        """
        self._shapes.append((n_typed, behind, shape))

    def shape_at(self, n_typed: int, behind: bytes) -> tuple[int, Shape] | None:
        """How what is shown at a place was shown before: from how many bytes on, and the shape.

        A bracket that the editor closed is in the stream and stands behind the cursor as well: the
        text behind must be the same.
        """
        for n_before, was_behind, shape in reversed(self._shapes):
            if n_before <= n_typed and was_behind == behind:
                return n_before, shape
        return None

    # -- what it says --------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether more text may come."""
        return not self._task.done()

    @property
    def n_bytes(self) -> int:
        """Memory that is kept for it."""
        return len(self.place.data) + len(self._raw)

    def says(self, typed: bytes) -> bool:
        """Whether it began with what was typed at its place."""
        return self._raw.startswith(typed)

    def fits(self, typed: bytes) -> bool:
        """Whether it goes on from what was typed at its place, and has more to say."""
        if self._error is not None or not self._raw:
            return False
        if self.running:
            return self.says(typed) or typed.startswith(self._raw)
        return self.says(typed) and bool(self._raw[len(typed) : self._end(len(typed))].strip())

    def _end(self, n_typed: int) -> int:
        """How much of it serves behind what was typed.

        A stream that was left says nothing of how its last line ends, but for what was shown of it
        already.
        """
        if self.running or self._finish is not None or n_typed < self._n_shown:
            return len(self._raw)
        return self._raw.rfind(b"\n") + 1

    async def follow(self, typed: bytes = b"") -> AsyncGenerator[TokenChunk]:
        """The chunks of the stream from behind what was typed on.

        It ends early where the stream does not say what was typed.

        Args:
            typed: at its place, see ``Place.typed_since``.

        Raises:
            EngineError: the engine failed.
        """
        self._n_followers += 1
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        try:
            number = 0
            while True:
                more = self._more
                last = self._end(len(typed))
                for chunk, end in zip(self._chunks[number:], self._ends[number:], strict=True):
                    start = self._ends[number - 1] if number else 0
                    number += 1
                    if not self._raw[:end].startswith(typed[:end]) or start > last:
                        return
                    yield self._behind(chunk, max(start, len(typed)), min(end, last))
                if self._error is not None:
                    raise self._error
                if not self.running and number == len(self._chunks):
                    return
                await more.wait()
        finally:
            self._n_followers -= 1
            if self._n_followers == 0 and self.running:
                loop = asyncio.get_running_loop()
                self._leaving = loop.call_later(_GRACE_S, self._leave)

    def _behind(self, chunk: TokenChunk, start: int, end: int) -> TokenChunk:
        """What of a chunk stands between two offsets of the text."""
        text = bytes(self._raw[start:end]).decode("utf-8", "ignore") if start < end else ""
        if text == chunk.text:
            return chunk
        if text:
            return msgspec.structs.replace(chunk, text=text)
        return msgspec.structs.replace(
            chunk, text="", logprobs=(), margins=(), entropies=(), supports=(), dissents=()
        )

    def saved(self) -> Saved:
        """What is there of it, to be played again."""
        replace = msgspec.structs.replace
        return Saved(
            chunks=tuple(
                replace(chunk, request_id=0, timings=None, segment_tokens=())
                for chunk in self._chunks
                if chunk.text or chunk.logprobs or chunk.finish_reason
            )
        )

    def identity(self, shown: str, n_typed: int = 0) -> str:
        """Names what is shown of it: the same from wherever in it the request came.

        Args:
            shown: the text.
            n_typed: bytes of it that stand before that already.
        """
        return f"{self.number}:{n_typed + len(shown.encode('utf-8', 'replace'))}"

    # -- its end -------------------------------------------------------------------------

    def cut(self, n_shown: int) -> None:
        """All that may be shown is there: it need not go on.

        Args:
            n_shown: bytes of it up to the end of what is shown.
        """
        self._n_shown = max(self._n_shown, n_shown)
        if self._n_followers <= 1:
            self._task.cancel()

    def _leave(self) -> None:
        if self._n_followers == 0:
            self._task.cancel()

    def cancel(self) -> None:
        """Stop it, unless somebody follows it."""
        self._leave()

    async def aclose(self) -> None:
        """Stop it, whoever follows it."""
        if self._leaving is not None:
            self._leaving.cancel()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._tell()
