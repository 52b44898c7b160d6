"""A suggestion while it is written: its text, how likely it is to be taken, and where it ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple

from lsp_server.completion.draft import Draft, Explanation
from lsp_server.completion.prompting import Gathered
from lsp_server.completion.showing import Verdict
from lsp_server.completion.source import Source
from lsp_server.score.evidence import Evidence, Past
from lsp_server.types import CompletionRequest, TokenChunk


class Writing(NamedTuple):
    """All that belongs to the suggestion of one request.

    Args:
        request: where, in which text.
        gathered: what went into the prompt.
        source: of its text.
        draft: as much as there is of it.
        verdict: whether it is shown.
        past: what became of the last suggestions.
    """

    request: CompletionRequest
    gathered: Gathered
    source: Source
    draft: Draft
    verdict: Verdict
    past: tuple[Past, ...]

    async def read(
        self,
        begin: Callable[[], AsyncGenerator[TokenChunk]],
        show: Callable[[], bool] | None,
        answer_by_s: float,
    ) -> None:
        """Read the stream as far as it is shown.

        Args:
            begin: starts one of the engine, if none serves.
            show: shows what there is before the rest is there, and says whether it did; None for
                clients that cannot.
            answer_by_s: without ``show``, from then on whole lines are enough.
        """
        _, _, source, draft, verdict, _ = self
        stream, is_news = source.chunks(begin), False
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                draft.origin = source.origin
                is_news = draft.take(chunk) or is_news
                if draft.has_line:
                    verdict.look(self.evidence)
                if verdict.hides:
                    break
                if is_news and show and self._may_show and show():
                    is_news = False
                if draft.stop:
                    break
                if not show and time.monotonic() > answer_by_s and draft.keep_whole_lines():
                    break
            if draft.stop or verdict.hides:
                source.cut(draft.raw_shown)
        draft.close()
        if draft.text:
            verdict.look(self.evidence)

    @property
    def _may_show(self) -> bool:
        return not (self.source.is_whole or self.source.is_behind or self.verdict.waits)

    def evidence(self) -> Evidence:
        """What its score is made of."""
        context, found = self.gathered.context, self.gathered.found
        return self.draft.evidence(context, found.chosen, self.past, self.source.n_typed_chars)

    def explanation(self) -> Explanation:
        """What went into it."""
        context, found, prompt, _ = self.gathered
        made_of = self.evidence() if self.draft.text else None
        return self.draft.explain(
            context, found.chosen, prompt, made_of, self.verdict.p, self.verdict.least
        )
