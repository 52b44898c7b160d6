"""The streams of the last requests, and which of them serves a place."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

from lsp_server.completion.generation import Generation
from lsp_server.completion.place import Place
from lsp_server.types import TokenChunk

_N_DOCUMENTS = 32
_PER_DOCUMENT = 8
_MAX_KEPT_BYTES = 16 * 1024 * 1024


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

    def find(self, uri: str, place: Place, unwanted: Sequence[str] = ()) -> Found | None:
        """The newest stream of a document that goes on at a place.

        Args:
            uri: of the document.
            place: in its text.
            unwanted: texts with which it is not to go on.
        """
        others = [text.encode("utf-8", "replace") for text in unwanted]
        for generation in reversed(self._by_uri.get(uri, ())):
            typed = place.typed_since(generation.place)
            if typed is None or not generation.fits(typed):
                continue
            if not any(generation.says(typed + other) for other in others):
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
