"""Prompts evaluated before they are asked for."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from lsp_server.completion.warmup import WarmUp


async def test_only_what_was_wanted_last_is_evaluated() -> None:
    """A cursor that moves on leaves nothing behind."""
    seen: list[int] = []
    done = asyncio.Event()

    async def evaluate(number: int) -> None:
        seen.append(number)
        done.set()

    warm_up = WarmUp()
    for number in range(3):
        warm_up.want(partial(evaluate, number), 1)
    await asyncio.wait_for(done.wait(), 10)
    assert seen == [2]


@pytest.mark.parametrize("again", [True, False])
async def test_evaluation_ends_when_something_else_is_wanted(again: bool) -> None:
    """Or nothing any more."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def evaluate() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    warm_up = WarmUp()
    warm_up.want(evaluate, 0)
    await asyncio.wait_for(started.wait(), 10)
    if again:
        warm_up.want(evaluate, 0)
    else:
        warm_up.cancel()
    await asyncio.wait_for(ended.wait(), 10)
    warm_up.cancel()
