"""Prompts evaluated while the user reads."""

from __future__ import annotations

import asyncio

import pytest

from lsp_server.documents import TextDocument
from lsp_server.warmup import Spot, WarmUp


def spot(line: int) -> Spot:
    """A place in some text."""
    snapshot = TextDocument("file:///a.py", "python", 1, "a\nb\nc\n").snapshot()
    return Spot(snapshot=snapshot, line=line, column=0)


async def test_only_the_last_spot_is_evaluated() -> None:
    """A cursor that moves on leaves nothing behind."""
    seen: list[int] = []
    done = asyncio.Event()

    async def evaluate(where: Spot) -> None:
        seen.append(where.line)
        done.set()

    warm_up = WarmUp(evaluate, pause_ms=1)
    for line in range(3):
        warm_up.want(spot(line))
    await asyncio.wait_for(done.wait(), 10)
    assert seen == [2]


@pytest.mark.parametrize("again", [True, False])
async def test_evaluation_ends_when_something_else_is_wanted(again: bool) -> None:
    """By the next spot, or by a request."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def evaluate(_where: Spot) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    warm_up = WarmUp(evaluate, pause_ms=0)
    warm_up.want(spot(0))
    await asyncio.wait_for(started.wait(), 10)
    if again:
        warm_up.want(spot(1))
    else:
        warm_up.cancel()
    await asyncio.wait_for(ended.wait(), 10)
    warm_up.cancel()
