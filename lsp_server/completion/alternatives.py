"""Other suggestions for the same cursor: the one that stands there, then ones that differ from it.

They are written behind the same prompt, which the engine has evaluated already: each is the
likeliest line that is none of those before, as far as they tell. What is shown of them is decided
by the same filters.

Looking at another suggestion is no second opportunity: all of one cursor share the identity of
the one that was shown first. It counts as shown once, and accepted once, whichever is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from lsp_server.completion import asking
from lsp_server.completion.ahead import Ahead
from lsp_server.completion.draft import Draft, Explanation, source_file
from lsp_server.completion.engine_link import EngineLink
from lsp_server.completion.generation import Generation
from lsp_server.completion.generations import Generations
from lsp_server.completion.place import Place, place_of
from lsp_server.completion.prompting import Prompts
from lsp_server.completion.recording import Recording
from lsp_server.completion.rejections import Rejections
from lsp_server.completion.scheduler import Scheduler
from lsp_server.completion.wording import Wording, another
from lsp_server.engine.protocol import Detour
from lsp_server.errors import MidfillError
from lsp_server.postprocess.shape import Shaper
from lsp_server.types import Completion, CompletionRequest, OnPartial, Skip

log = logging.getLogger("midfill.completion")

# What differs may be blank, or the same once it is shaped.
_TRIES_EACH = 2
# Who asks for others waits longer than who types, see ``completion.answer_ms``.
_PATIENCE = 2
_N_REMEMBERED = 4

Live = Callable[
    [CompletionRequest, OnPartial | None, Callable[[Explanation], None]],
    Awaitable[Completion | Skip],
]


class _Offer(NamedTuple):
    """One of the suggestions for a cursor.

    Args:
        completion: the suggestion.
        generation: the stream it was made of; None where that is gone.
    """

    completion: Completion
    generation: Generation | None


class _Offers(NamedTuple):
    """All suggestions for a cursor, by id."""

    request: CompletionRequest
    by_id: dict[str, _Offer]


class Alternatives:
    """Makes them, and remembers the last ones until the user has chosen.

    Args:
        engine: writes them.
        prompts: gives the prompt.
        generations: take over the stream of the one that the user looks at.
        rejections: what was turned down.
        scheduler: a newer request of the document takes the place of one for alternatives.
        ahead: waits meanwhile.
        live: makes the suggestion that stands there, see ``CompletionService``.
        recording: of the session.
    """

    def __init__(
        self,
        engine: EngineLink,
        prompts: Prompts,
        generations: Generations,
        rejections: Rejections,
        scheduler: Scheduler,
        ahead: Ahead,
        live: Live,
        recording: Recording,
    ) -> None:
        self._engine = engine
        self._prompts = prompts
        self._generations = generations
        self._rejections = rejections
        self._scheduler = scheduler
        self._ahead = ahead
        self._live = live
        self._recording = recording
        self._remembered: deque[_Offers] = deque(maxlen=_N_REMEMBERED)

    async def complete(self, request: CompletionRequest, n: int) -> list[Completion] | Skip:
        """Up to ``n`` suggestions for a cursor position, or the reason why there is none.

        Args:
            request: where, in which text; it is one that the user made.
            n: how many at most, the one that stands there among them.
        """
        stands, uri = False, request.snapshot.uri
        if tracker := self._recording.tracker:
            stands = tracker.asked_again(request, model=self._engine.model_id)
        try:
            offers = await self._scheduler.run(uri, lambda: self._make(request, n))
        except asyncio.CancelledError:
            self._failed(request, "cancelled", stands=stands)
            raise
        except MidfillError as error:
            self._engine.failed(error)
            offers = Skip(reason=error.code, message=str(error))
        if isinstance(offers, Skip):
            self._failed(request, offers.reason, stands=stands)
            return offers
        found = [offer.completion for offer in offers]
        self._remembered.append(_Offers(request, {o.completion.id: o for o in offers}))
        if tracker := self._recording.tracker:
            tracker.offered(found, request)
        return found

    def _failed(self, request: CompletionRequest, reason: str, *, stands: bool) -> None:
        tracker = self._recording.tracker
        # The suggestion that stands there is still there.
        if tracker and not stands:
            tracker.failed(request, reason, model=self._engine.model_id)

    # -- what becomes of them ------------------------------------------------------------

    def looked_at(self, completion_id: str) -> None:
        """The user sees it, or took of it: what is typed now goes on from it."""
        for offers in self._remembered:
            offer = offers.by_id.get(completion_id)
            if offer is not None and offer.generation is not None:
                self._generations.keep(offers.request.snapshot.uri, offer.generation)

    def first_of(self, completion_id: str) -> str:
        """Id of the suggestion in whose place it was offered; its own where it was not."""
        for offers in self._remembered:
            if completion_id in offers.by_id:
                return offers.request.id
        return completion_id

    def dismissed(self, completion_id: str) -> None:
        """The user turned it down, and with it the one that stood there first."""
        for offers in self._remembered:
            if completion_id in offers.by_id and completion_id != offers.request.id:
                self._rejections.rejected(offers.request.id)

    # -- how they are made ---------------------------------------------------------------

    async def _make(self, request: CompletionRequest, n: int) -> list[_Offer] | Skip:
        explained: list[Explanation] = []
        first = await self._live(request, None, explained.append)
        if isinstance(first, Skip):
            if not explained:
                return first  # no suggestions are made there at all
            offers = []
        else:
            known = self._generations.find(request.snapshot.uri, place_of(request))
            offers = [_Offer(first, known.generation if known else None)]
        others: list[_Offer] = []
        try:
            wordings = [_wording(explained[0])]
            await self._write(
                request, n - len(offers), {_essence(o) for o in offers}, wordings, others
            )
        except MidfillError as error:
            if not offers and not others:
                raise
            log.info("no more alternatives: %s (%s)", error, error.code)
        others.sort(key=lambda offer: -offer.completion.score)
        found = [*offers, *others]
        return found if found or not isinstance(first, Skip) else first

    async def _write(
        self,
        request: CompletionRequest,
        n: int,
        seen: set[str],
        wordings: list[Wording],
        others: list[_Offer],
    ) -> None:
        """Add up to ``n`` suggestions that differ from each other and from those seen.

        One after another: side by side they would take the KV cache of other documents' prompts.
        """
        started_s = time.monotonic()
        settings = self._engine.settings.completion
        until_s = started_s + _PATIENCE * settings.answer_ms / 1000
        read = file, cursor = source_file(request.snapshot, request.line, request.column)
        gathered = self._prompts.at(request, read=read)
        shaper = asking.shaper(settings, gathered.context)
        context_ms = 1000 * (time.monotonic() - started_s)
        for _ in range(n * _TRIES_EACH):
            if len(others) == n or time.monotonic() > until_s:
                break
            self._ahead.cancel()
            detours = another(wordings)
            draft = self._draft(request, shaper, context_ms, detours)
            stream = self._engine.generate(gathered.prompt, detours=detours, home=gathered.home)
            generation = Generation(Place(file.data, cursor), stream)
            now_s = time.monotonic()
            # One that goes on and on leaves time for the others.
            enough_s = now_s + (until_s - now_s) / (n - len(others))
            is_whole = await self._follow(generation, draft, enough_s, until_s)
            wordings.append(draft.wording)
            identity = generation.identity(draft.raw_shown)
            offer = _Offer(draft.completion(complete=True, identity=identity), generation)
            if not is_whole or not draft.text.strip() or _essence(offer) in seen:
                continue
            seen.add(_essence(offer))
            others.append(offer)
            self._rejections.made(offer.completion.id, request, draft.text, draft.wording)

    def _draft(
        self,
        request: CompletionRequest,
        shaper: Shaper,
        context_ms: float,
        detours: tuple[Detour, ...],
    ) -> Draft:
        own = msgspec.structs.replace(request, id=uuid.uuid4().hex, received_s=time.monotonic())
        return Draft(own, shaper, context_ms, self._engine.model_id, detours)

    async def _follow(
        self, generation: Generation, draft: Draft, enough_s: float, until_s: float
    ) -> bool:
        """Read a stream as far as it would be shown; False if no line was whole in time.

        Args:
            generation: the stream.
            draft: takes it.
            enough_s: from then on the lines that are whole are enough.
            until_s: then it ends.
        """
        is_whole = True
        try:
            async with asyncio.timeout(max(0.0, until_s - time.monotonic())):
                async with contextlib.aclosing(generation.follow()) as chunks:
                    async for chunk in chunks:
                        draft.take(chunk)
                        is_enough = time.monotonic() > enough_s and draft.keep_whole_lines()
                        if draft.stop or is_enough:
                            break
        except TimeoutError:
            is_whole = draft.keep_whole_lines()
        finally:
            draft.close()
            generation.cut(len(draft.raw_shown.encode("utf-8", "replace")))
            # The engine has the place of this one free before the next is asked for.
            await generation.aclose()
        return is_whole


def _wording(explanation: Explanation) -> Wording:
    """Of the suggestion that stands there."""
    evidence = explanation.evidence
    return Wording(explanation.raw, evidence.tokens if evidence is not None else ())


def _essence(offer: _Offer) -> str:
    """What a user would call the same text."""
    return "\n".join(line.rstrip() for line in offer.completion.text.strip().splitlines())
