"""What a request reads: a stream that is there, what was kept on disk, or a new stream."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence

from lsp_server.completion.generations import Found, Generations
from lsp_server.completion.place import Place
from lsp_server.completion.suggestion_cache import Saved
from lsp_server.postprocess.onward import Onward, Shape
from lsp_server.types import TokenChunk


class Source:
    """What a request reads: a stream that was started before if one serves it, else its own.

    Args:
        generations: of all documents.
        uri: of the request's document.
        place: in its text.
        unwanted: texts that were turned down there; a stream that says one does not serve.
    """

    def __init__(
        self, generations: Generations, uri: str, place: Place, unwanted: Sequence[str] = ()
    ) -> None:
        self._generations = generations
        self._uri = uri
        self._place = place
        self._found = generations.find(uri, place, unwanted)
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
