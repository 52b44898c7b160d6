"""What is done while nobody waits: prompts are evaluated, and the next suggestion is written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from context.types import Prompt
from lsp_server.completion import asking
from lsp_server.completion.engine_link import EngineLink
from lsp_server.completion.generations import Generations
from lsp_server.completion.place import place_of
from lsp_server.completion.prompting import Prompts
from lsp_server.completion.warmup import Spot, WarmUp
from lsp_server.errors import MidfillError
from lsp_server.positions import split_lines
from lsp_server.types import Snapshot

# Most clients ask right after an edit; the others give a hint of when they will.
_TYPING_PAUSE_MS, _RESTING_PAUSE_MS = 15.0, 300.0
# An answer is on its way to the client first.
_SHOWN_PAUSE_MS = 20.0


class Ahead:
    """One piece of work at a time, of what was wanted last.

    Args:
        engine: does it.
        prompts: makes the prompts.
        generations: take what is written.
        is_wanted: whether suggestions are made for a text at all.
    """

    def __init__(
        self,
        engine: EngineLink,
        prompts: Prompts,
        generations: Generations,
        is_wanted: Callable[[Snapshot], bool],
    ) -> None:
        self._engine = engine
        self._prompts = prompts
        self._generations = generations
        self._is_wanted = is_wanted
        self._work = WarmUp()

    def typing(self, spot: Spot) -> None:
        """A key was typed: a request is likely to come from there."""
        self._want(spot, _TYPING_PAUSE_MS, resting=False)

    def resting(self, spot: Spot) -> None:
        """The cursor rests there."""
        self._want(spot, _RESTING_PAUSE_MS, resting=True)

    def asked(self, prompt: Prompt) -> None:
        """A request waits for a pause in typing; what is evaluated meanwhile is never lost."""
        if self._engine.settings.completion.warm_up:
            self._work.want(lambda: self._engine.prefill(prompt), 0)

    def shown(self, spot: Spot, text: str, *, settled: bool) -> None:
        """A suggestion was made there.

        Args:
            spot: where.
            text: of the suggestion; "" for none.
            settled: whether all that other files give was in its prompt.
        """
        if text and self._engine.prefetches:
            self._work.want(lambda: self._after_shown(spot, text, settled), _SHOWN_PAUSE_MS)
        elif not settled:
            self.resting(spot)

    def cancel(self) -> None:
        """Somebody waits."""
        self._work.cancel()

    def _want(self, spot: Spot, pause_ms: float, *, resting: bool) -> None:
        if self._engine.settings.completion.warm_up:
            self._work.want(lambda: self.evaluate(spot, resting=resting), pause_ms)

    async def evaluate(self, spot: Spot, *, resting: bool = False) -> None:
        """Evaluate the prompt of a spot.

        Args:
            spot: where the next request is likely to come from.
            resting: whether the user makes a pause, see ``Prompts.evaluate_ahead``.
        """
        if not self._is_wanted(spot.snapshot):
            return
        uri = spot.snapshot.uri
        if not resting and self._generations.find(uri, place_of(spot)):
            return  # whoever types what is suggested needs no prompt of the place
        if await self._prompts.evaluate_ahead(spot, resting=resting):
            # More is known now than when these were written.
            self._generations.forget(uri)

    async def _after_shown(self, spot: Spot, text: str, settled: bool) -> None:
        await self.write(self._next_line(_inserted(spot, text)))
        if not settled:
            self.resting(spot)

    def _next_line(self, spot: Spot) -> Spot:
        """Where the cursor is likely to be next: behind a whole line, in a new one below it."""
        scope = self._prompts.at(spot, alone=True).context.scope
        if scope.multi_line or not scope.line_before.strip() or scope.line_after.strip():
            return spot
        below = _inserted(spot, spot.snapshot.eol)
        indent = self._prompts.at(below, alone=True).context.scope.indent
        return _inserted(below, indent)

    async def write(self, spot: Spot) -> None:
        """Write the suggestion of a spot, as far as it would be shown.

        Args:
            spot: where the next request is likely to come from.
        """
        uri, place = spot.snapshot.uri, place_of(spot)
        if not self._is_wanted(spot.snapshot) or self._generations.find(uri, place):
            return
        with contextlib.suppress(MidfillError):
            await self._engine.connect()
            gathered = self._prompts.at(spot)
            shaper = asking.shaper(self._engine.settings.completion, gathered.context)
            stream = self._engine.generate(gathered.prompt, lane="prefetch", home=gathered.home)
            generation = self._generations.start(uri, place, stream)
            generation.shaped(0, place.data[place.cursor :], shaper)
            raw = ""
            async with contextlib.aclosing(generation.follow()) as chunks:
                async for chunk in chunks:
                    raw += chunk.text
                    view = shaper.view(raw, final=False)
                    if view.stop:
                        generation.cut(len(view.text.encode("utf-8", "replace")))
                        break


def _inserted(spot: Spot, text: str) -> Spot:
    """The text and the cursor once something is inserted at a spot."""
    before = spot.snapshot
    line = before.lines[spot.line]
    inserted = split_lines(line[: spot.column] + text)
    lines = (
        *before.lines[: spot.line],
        *inserted[:-1],
        inserted[-1] + line[spot.column :],
        *before.lines[spot.line + 1 :],
    )
    return Spot(
        snapshot=Snapshot(
            uri=before.uri,
            version=before.version,
            language=before.language,
            lines=lines,
            eol=before.eol,
        ),
        line=spot.line + len(inserted) - 1,
        column=len(inserted[-1]),
    )
