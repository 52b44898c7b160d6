"""Streams that say what a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from lsp_server.completion.place import Place
from lsp_server.types import FinishReason, TokenChunk

URI = "file:///a.py"


def place(marked: str) -> Place:
    """A cursor at the mark."""
    before, after = marked.split("‸")
    return Place((before + after).encode(), len(before.encode()))


class Engine:
    """Plays texts; holds after some chunks until it is let go on."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.n_begun = self.n_left = 0

    async def play(
        self, *texts: str, hold_after: int = 1000, finish: FinishReason = "stop"
    ) -> AsyncGenerator[TokenChunk]:
        """One stream."""
        self.n_begun += 1
        is_whole = False
        try:
            yield TokenChunk(request_id=1, text="")
            for number, text in enumerate(texts):
                if number == hold_after:
                    self.go_on.clear()
                await self.go_on.wait()
                yield TokenChunk(request_id=1, text=text, logprobs=(-0.5,))
            yield TokenChunk(request_id=1, text="", finish_reason=finish)
            is_whole = True
        finally:
            self.n_left += not is_whole


async def text_of(stream: AsyncGenerator[TokenChunk], *, until: str = "") -> str:
    """What a stream says, up to some text."""
    text = ""
    async with contextlib.aclosing(stream):
        async for chunk in stream:
            text += chunk.text
            if until and until in text:
                break
    return text
