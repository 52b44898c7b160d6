"""Streams of the engine that serve more than the request they were started for.

Whoever types what a suggestion says needs no other one: the stream goes on, and the next request
follows it from behind what was typed. What it wrote beyond what was shown is the next suggestion
once that is accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple

import msgspec

from lsp_server.completion.draft import source_file
from lsp_server.completion.suggestion_cache import Saved
from lsp_server.completion.warmup import Spot
from lsp_server.postprocess.onward import Onward, Shape
from lsp_server.types import CompletionRequest, FinishReason, TokenChunk

# A stream nobody follows goes on for so long: the key that was typed may be what it says.
_GRACE_S = 0.25
_N_DOCUMENTS = 32
_PER_DOCUMENT = 8
_MAX_KEPT_BYTES = 16 * 1024 * 1024
# Editors close brackets and quotes as they are opened.
_CLOSERS = frozenset(b")]}\"'`>")
_MAX_CLOSERS = 3
_numbers = itertools.count(1)


class Place(NamedTuple):
    """A cursor in a text.

    Args:
        data: the text as UTF-8 with ``\\n`` as its only EOL.
        cursor: byte offset.
    """

    data: bytes
    cursor: int

    def typed_since(self, other: Place) -> bytes | None:
        """What was typed at another place to come here; None where something else was done."""
        n_typed = self.cursor - other.cursor
        if n_typed < 0 or self.data[: other.cursor] != other.data[: other.cursor]:
            return None
        rest = self.data[self.cursor :]
        before = other.data[other.cursor :]
        closers = rest[: len(rest) - len(before)] if len(rest) > len(before) else b""
        if rest[len(closers) :] != before or len(closers) > _MAX_CLOSERS:
            return None
        if closers and not (n_typed and _CLOSERS.issuperset(closers)):
            return None
        return self.data[other.cursor : self.cursor]


def place_of(where: CompletionRequest | Spot) -> Place:
    """The place of a cursor in an editor's text."""
    file, cursor = source_file(where.snapshot, where.line, where.column)
    return Place(file.data, cursor)


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
        return msgspec.structs.replace(chunk, text="", logprobs=(), margins=(), entropies=())

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


class Found(NamedTuple):
    """A stream that serves a place.

    Args:
        generation: the stream.
        typed: what was typed since it was started.
    """

    generation: Generation
    typed: bytes


class Generations:
    """The streams of the last requests, by document."""

    def __init__(self) -> None:
        self._by_uri: OrderedDict[str, deque[Generation]] = OrderedDict()

    def find(self, uri: str, place: Place) -> Found | None:
        """The newest stream of a document that goes on at a place.

        Args:
            uri: of the document.
            place: in its text.
        """
        for generation in reversed(self._by_uri.get(uri, ())):
            typed = place.typed_since(generation.place)
            if typed is not None and generation.fits(typed):
                return Found(generation, typed)
        return None

    def start(self, uri: str, place: Place, stream: AsyncGenerator[TokenChunk]) -> Generation:
        """Begin a stream; those of the document that nobody follows end.

        Args:
            uri: of the document.
            place: in its text.
            stream: of the engine.
        """
        kept = self._by_uri.pop(uri, None) or deque(maxlen=_PER_DOCUMENT)
        for other in kept:
            other.cancel()
        generation = Generation(place, stream)
        kept.append(generation)
        self._by_uri[uri] = kept
        self._drop_oldest()
        return generation

    def keep(self, uri: str, generation: Generation) -> None:
        """A stream is to serve a document before all others: the user looks at what it says.

        Args:
            uri: of the document.
            generation: begun in it, here or elsewhere.
        """
        kept = self._by_uri.pop(uri, None) or deque(maxlen=_PER_DOCUMENT)
        if generation in kept:
            kept.remove(generation)
        kept.append(generation)
        self._by_uri[uri] = kept
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        while len(self._by_uri) > 1 and (
            len(self._by_uri) > _N_DOCUMENTS or self._n_bytes() > _MAX_KEPT_BYTES
        ):
            self._drop(next(iter(self._by_uri)))

    def _n_bytes(self) -> int:
        return sum(each.n_bytes for kept in self._by_uri.values() for each in kept)

    def forget(self, uri: str) -> None:
        """A document was closed."""
        self._drop(uri)

    def clear(self) -> None:
        """Another model, or other settings, would write something else."""
        for uri in list(self._by_uri):
            self._drop(uri)

    def _drop(self, uri: str) -> None:
        for generation in self._by_uri.pop(uri, ()):
            generation.cancel()

    async def aclose(self) -> None:
        """Stop all streams, whoever follows them."""
        for kept in list(self._by_uri.values()):
            for generation in kept:
                await generation.aclose()
        self._by_uri.clear()


class Source:
    """What a request reads: a stream that was started before if one serves it, else its own.

    Args:
        generations: of all documents.
        uri: of the request's document.
        place: in its text.
    """

    def __init__(self, generations: Generations, uri: str, place: Place) -> None:
        self._generations = generations
        self._uri = uri
        self._place = place
        self._found = generations.find(uri, place)
        self._is_own = False
        # Chunks that were read, and those that were there before.
        self._n_read = 0
        self._n_there = self._found.generation.n_chunks if self._found else 0
        self._shape: Shape | None = None
        self._onward: Onward | None = None

    @property
    def origin(self) -> str:
        """``cache`` where an earlier request's stream serves this one, else ``engine``."""
        return "engine" if self._found is None or self._is_own else "cache"

    @property
    def is_whole(self) -> bool:
        """Whether all that an earlier request's stream says is there already."""
        if self._found is None or self._is_own:
            return False
        return not self._found.generation.running

    @property
    def n_typed_chars(self) -> int:
        """So much of what the stream says was typed since it was started."""
        return len(self._found.typed.decode("utf-8", "replace")) if self._found else 0

    @property
    def is_behind(self) -> bool:
        """Whether more was there already than was read: piece by piece it would flicker."""
        return self._n_read < self._n_there

    def shape(self, fresh: Shape) -> Shape:
        """What decides how much is shown: what is left of a suggestion is shown as it was.

        Args:
            fresh: decides it for a stream that starts here.
        """
        self._shape = fresh
        if self._found is None:
            return fresh
        generation, typed = self._found.generation, self._found.typed
        behind = self._place.data[self._place.cursor :]
        known = generation.shape_at(len(typed), behind)
        if known is None:
            generation.shaped(len(typed), behind, fresh)
            return fresh
        n_before, first = known
        self._onward = Onward(
            first,
            typed[n_before:].decode("utf-8", "replace"),
            fresh,
            on_fresh=lambda: generation.shaped(len(typed), behind, fresh),
        )
        return self._onward

    @property
    def is_seen(self) -> bool:
        """Whether what goes on at the place stands before the user's eyes already."""
        found = self._found
        return found is not None and len(found.typed) < found.generation.n_seen

    def seen(self, shown: str) -> None:
        """A text is handed to the client.

        Args:
            shown: see ``identity``.
        """
        if self._found is not None:
            generation, typed = self._found
            n_bytes = len(typed) + len(shown.encode("utf-8", "replace"))
            generation.n_seen = max(generation.n_seen, n_bytes)

    def identity(self, shown: str) -> str:
        """Names what is shown: the same from wherever in it the request came.

        Args:
            shown: the stream's text, from the request's place to the end of what is shown.
        """
        if self._found is None:
            return ""
        return self._found.generation.identity(shown, len(self._found.typed))

    async def chunks(
        self, begin: Callable[[], AsyncGenerator[TokenChunk]]
    ) -> AsyncGenerator[TokenChunk]:
        """The stream from the request's place on.

        Args:
            begin: starts one of the engine, if none serves.

        Raises:
            EngineError: the engine failed.
        """
        if self._found is not None:
            async with contextlib.aclosing(self._found.generation.follow(self._found.typed)) as old:
                async for chunk in old:
                    self._n_read += 1
                    yield chunk
            if self._found.generation.says(self._found.typed):
                return
        generation = self._generations.start(self._uri, self._place, begin())
        if self._shape is not None:
            generation.shaped(0, self._place.data[self._place.cursor :], self._shape)
        if self._onward is not None:
            self._onward.leave()
        self._found, self._is_own = Found(generation, b""), True
        self._n_read = self._n_there = 0
        async with contextlib.aclosing(generation.follow()) as new:
            async for chunk in new:
                self._n_read += 1
                yield chunk

    def recall(self, saved: Saved) -> None:
        """Read what was saved at this very place, as if it were the stream of a request before."""
        generation = self._generations.start(self._uri, self._place, _played(saved))
        self._found, self._is_own = Found(generation, b""), False

    def saved(self) -> Saved | None:
        """What the request's own stream said; None where it read another one's."""
        return self._found.generation.saved() if self._found and self._is_own else None

    def cut(self, shown: str) -> None:
        """All that may be shown is there.

        Args:
            shown: see ``identity``.
        """
        if self._found is not None:
            n_shown = len(self._found.typed) + len(shown.encode("utf-8", "replace"))
            self._found.generation.cut(n_shown)


async def _played(saved: Saved) -> AsyncGenerator[TokenChunk]:
    for chunk in saved.chunks:
        yield chunk
